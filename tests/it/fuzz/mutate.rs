//! Changes to seeds: of octets, of AVPs, of lines.

/// A small generator of numbers: the same seed gives the same inputs.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

/// A changed seed: mostly a little, now and then a lot.
pub(super) fn mutated(target: &str, seeds: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    let mut input = dice.one(seeds).clone();
    let times = 1 + dice.below(4) + if dice.below(8) == 0 { 12 } else { 0 };
    for _ in 0..times {
        match target {
            "catalog" => lines(&mut input, dice),
            "frame" | "session" | "peer" if dice.below(4) > 0 => messages(&mut input, seeds, dice),
            "ccr" | "cca" | "avp" if dice.below(4) > 0 => avps(&mut input, seeds, dice),
            _ => octets(&mut input, seeds, dice),
        }
    }
    input
}

/// Values at which something ends.
const EDGES: [u32; 12] = [0, 1, 3, 4, 7, 8, 12, 20, 0xff, 0x7fff_ffff, 0x8000_0000, u32::MAX];

/// Changes that know no structure.
fn octets(input: &mut Vec<u8>, seeds: &[Vec<u8>], dice: &mut Dice) {
    let at = dice.below(input.len() + 1);
    match dice.below(8) {
        0 | 1 => {
            if let Some(octet) = input.get_mut(at) {
                *octet ^= 1 << dice.below(8);
            }
        }
        2 => {
            if let Some(octet) = input.get_mut(at) {
                *octet = dice.next() as u8;
            }
        }
        3 => {
            let edge = dice.one(&EDGES).to_be_bytes();
            let width = 1 + dice.below(4);
            for (place, octet) in input.iter_mut().skip(at).zip(&edge[4 - width..]) {
                *place = *octet;
            }
        }
        4 => input.truncate(at),
        5 => {
            let to = (at + dice.below(40)).min(input.len());
            input.drain(at..to);
        }
        6 => {
            let to = (at + dice.below(40)).min(input.len());
            let piece = input[at..to].to_vec();
            input.splice(at..at, piece);
        }
        _ => {
            let other = dice.one(seeds);
            let from = dice.below(other.len() + 1);
            let to = (from + dice.below(80)).min(other.len());
            input.splice(at..at, other[from..to].iter().copied());
        }
    }
}

/// Where the AVPs of a body begin and end, as far as they can be told apart.
fn spans(body: &[u8]) -> Vec<(usize, usize)> {
    let (mut spans, mut at) = (Vec::new(), 0);
    while let Some(head) = body.get(at..at + 8) {
        let length = u32::from_be_bytes([0, head[5], head[6], head[7]]) as usize;
        let end = (at + length.next_multiple_of(4)).min(body.len());
        if length < 8 || end <= at {
            break;
        }
        spans.push((at, end));
        at = end;
    }
    spans
}

/// Changes of whole AVPs, and inside of groups: repeated, left out, exchanged, wrapped, moved, with another head.
fn avps(body: &mut Vec<u8>, seeds: &[Vec<u8>], dice: &mut Dice) {
    let own = spans(body);
    let Some(&(from, to)) = own.get(dice.below(own.len())) else { return octets(body, seeds, dice) };
    let avp = body[from..to].to_vec();
    match dice.below(10) {
        0 => {
            body.drain(from..to);
        }
        1 => {
            body.splice(to..to, avp);
        }
        2 => {
            // Of another seed, at this place; bodies of messages come without their heads.
            let other = dice.one(seeds);
            let spans = spans(other);
            if let Some(&(from_other, to_other)) = spans.get(dice.below(spans.len())) {
                body.splice(from..from, other[from_other..to_other].iter().copied());
            }
        }
        3 => {
            let wrapped = wrapped(&avp, dice);
            body.splice(from..to, wrapped);
        }
        4 => {
            body.drain(from..to);
            body.extend(avp);
        }
        5 => body[from + 4] ^= [0x80, 0x40, 0x20, 0x1f][dice.below(4)],
        6 => {
            let edge = dice.one(&EDGES).to_be_bytes();
            body[from..from + 4].copy_from_slice(&edge);
        }
        7 => {
            let [_, length @ ..] = dice.one(&EDGES).to_be_bytes();
            body[from + 5..from + 8].copy_from_slice(&length);
        }
        8 => {
            // A value at the edge: the last four octets.
            let edge = dice.one(&EDGES).to_be_bytes();
            if to - from >= 12 {
                body[to - 4..to].copy_from_slice(&edge);
            }
        }
        _ => {
            // Inside, as if it were a group.
            let head = if body[from + 4] & 0x80 == 0 { 8 } else { 12 };
            if to - from > head + 8 {
                let mut inner = body[from + head..to].to_vec();
                avps(&mut inner, seeds, dice);
                let mut whole = body[from..from + head].to_vec();
                let [_, length @ ..] = ((head + inner.len()) as u32).to_be_bytes();
                whole[5..8].copy_from_slice(&length);
                whole.extend(inner);
                whole.resize(whole.len().next_multiple_of(4), 0);
                body.splice(from..to, whole);
            }
        }
    }
}

/// In a group, some levels deep.
fn wrapped(avp: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut avp = avp.to_vec();
    for _ in 0..1 + dice.below(20) {
        let code = *dice.one(&[279_u32, 284, 456, 437, 446, 443, 873, 445]);
        let mut group = code.to_be_bytes().to_vec();
        let [_, length @ ..] = (8 + avp.len() as u32).to_be_bytes();
        group.push(0x40);
        group.extend(length);
        group.extend(&avp);
        avp = group;
    }
    avp
}

/// Where the messages of a stream begin and end.
fn message_spans(stream: &[u8]) -> Vec<(usize, usize)> {
    let (mut spans, mut at) = (Vec::new(), 0);
    while let Some(head) = stream.get(at..at + 20) {
        let length = u32::from_be_bytes([0, head[1], head[2], head[3]]) as usize;
        if length < 20 || at + length > stream.len() {
            break;
        }
        spans.push((at, at + length));
        at += length;
    }
    spans
}

/// Changes of whole messages of a stream, of their headers, and of the AVPs inside: the framing stays right, so that what is
/// behind it is reached.
fn messages(stream: &mut Vec<u8>, seeds: &[Vec<u8>], dice: &mut Dice) {
    // The peer's input begins with an octet of its own.
    let skip = usize::from(stream.first() != Some(&1));
    let own: Vec<_> = message_spans(&stream[skip.min(stream.len())..]);
    let Some(&(from, to)) = own.get(dice.below(own.len())) else { return octets(stream, seeds, dice) };
    let (from, to) = (from + skip, to + skip);
    let message = stream[from..to].to_vec();
    match dice.below(8) {
        0 => {
            stream.splice(to..to, message);
        }
        1 => {
            let other = dice.one(seeds);
            let skip = usize::from(other.first() != Some(&1));
            let spans = message_spans(&other[skip.min(other.len())..]);
            if let Some(&(from_other, to_other)) = spans.get(dice.below(spans.len())) {
                stream.splice(to..to, other[from_other + skip..to_other + skip].iter().copied());
            }
        }
        2 => {
            stream.drain(from..to);
            stream.extend(message);
        }
        3 => {
            let at = from + 4 + dice.below(16);
            stream[at] = dice.next() as u8;
        }
        _ => {
            let mut body = message[20..].to_vec();
            let bodies: Vec<Vec<u8>> = own.iter().map(|(a, b)| stream[a + skip + 20..b + skip].to_vec()).collect();
            avps(&mut body, &bodies, dice);
            body.resize(body.len().next_multiple_of(4), 0);
            let [_, length @ ..] = (20 + body.len() as u32).to_be_bytes();
            let mut whole = message[..20].to_vec();
            whole[1..4].copy_from_slice(&length);
            whole.extend(body);
            stream.splice(from..to, whole);
        }
    }
}

/// Changes of lines and words of a text.
fn lines(text: &mut Vec<u8>, dice: &mut Dice) {
    let Ok(written) = std::str::from_utf8(text) else { return };
    let mut lines: Vec<String> = written.lines().map(str::to_owned).collect();
    if lines.is_empty() {
        return;
    }
    let (at, other) = (dice.below(lines.len()), dice.below(lines.len()));
    match dice.below(6) {
        0 => {
            lines.remove(at);
        }
        1 => lines.insert(other, lines[at].clone()),
        2 => lines.swap(at, other),
        3 => {
            const WORDS: [&str; 20] = [
                "0",
                "-1",
                "\"0\"",
                "\"99999999999999999999\"",
                "\"0.0000001\"",
                "\"18446744073709551615 B\"",
                "\"1 TB\"",
                "\"1 s\"",
                "\"-1 B\"",
                "\"\"",
                "[]",
                "true",
                "\"\u{fc}\"",
                "18446744073709551616",
                "\"cycle\"",
                "\"100.00\"",
                "\"2026-02-29\"",
                "\"holiday\"",
                "\"zone:eu\"",
                "[{ allowance = \"gigabyte\", roll_over = \"1 MB\" }]",
            ];
            if let Some((key, _)) = lines[at].split_once('=') {
                lines[at] = format!("{key}= {}", dice.one(&WORDS));
            }
        }
        4 => {
            let cut = dice.below(lines[at].len() + 1);
            if lines[at].is_char_boundary(cut) {
                lines[at].truncate(cut);
            }
        }
        _ => {
            let value = lines[other].split_once('=').map(|(_, value)| value.to_owned());
            if let (Some((key, _)), Some(value)) = (lines[at].split_once('='), value) {
                lines[at] = format!("{key}={value}");
            }
        }
    }
    *text = lines.join("\n").into_bytes();
}
