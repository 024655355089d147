use super::*;

const TEXT: &str = r#"
currency = "EUR"
[[context]]
name = "data"
service_context_id = "32251@3gpp.org"
[[service]]
name = "internet"
context = "data"
rating_group = 1
price = "0.01"
per = "1 MB"
"#;

fn at(secs: u64) -> Timestamp {
    Timestamp::from_secs(secs)
}

fn publication(number: u32, activates: u64, sessions: RunningSessions) -> Publication {
    Publication {
        number,
        text: TEXT.into(),
        published: at(0),
        activates: at(activates),
        sessions,
        by: "test".into(),
        reason: "".into(),
        request_id: format!("r{number}").into(),
        withdrawn: None,
    }
}

fn version(number: u32, activates: u64, sessions: RunningSessions) -> Version {
    Version::compile(publication(number, activates, sessions)).unwrap()
}

use RunningSessions::{Change, Finish};

fn catalogs(versions: &[(u32, u64, RunningSessions)]) -> Catalogs {
    let mut versions = versions.iter().map(|(number, activates, sessions)| version(*number, *activates, *sessions));
    let first = Catalogs::new(versions.next().unwrap());
    versions.fold(first, |catalogs, version| catalogs.with(version))
}

#[test]
fn the_last_one_that_was_activated_is_in_force() {
    // Published out of the order in which they come into force; two at the same moment.
    let catalogs = catalogs(&[(1, 10, Change), (2, 30, Change), (3, 20, Change), (4, 30, Change)]);
    let in_force = |now| catalogs.at(at(now)).number();
    assert_eq!(in_force(9), 1, "before any, the first");
    assert_eq!([10, 19, 20, 29, 30, 1_000].map(in_force), [1, 1, 3, 3, 4, 4]);
    assert_eq!(catalogs.pending(at(20)), 2);
    assert_eq!(catalogs.publications().iter().map(|it| it.number).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!(catalogs.next_number(), 5);
}

#[test]
fn a_session_stays_until_one_says_change() {
    let catalogs = catalogs(&[(1, 10, Change), (2, 20, Finish), (3, 30, Change), (4, 40, Finish)]);
    let goes_by = |known, now| catalogs.for_session(known, at(now)).number();
    assert_eq!([15, 20, 29, 30, 39, 40].map(|now| goes_by(1, now)), [1, 1, 1, 3, 3, 3]);
    assert_eq!([20, 30, 50].map(|now| goes_by(2, now)), [2, 3, 3]);
    assert_eq!([goes_by(3, 50), goes_by(4, 50)], [3, 4]);
    // Unknown ones go by what is in force.
    assert_eq!([goes_by(0, 25), goes_by(9, 45)], [2, 4]);
    // A clock that was set back moves nobody.
    assert_eq!(goes_by(4, 5), 4);
}

/// A session that is asked at every moment ends up where one does that was asked once.
#[test]
fn it_does_not_matter_how_often_a_session_asks() {
    let kinds = [Finish, Change];
    for pattern in 0..16usize {
        let kind = |bit: usize| kinds[pattern >> bit & 1];
        let catalogs =
            catalogs(&[(1, 0, Finish), (2, 10, kind(0)), (3, 20, kind(1)), (4, 20, kind(2)), (5, 30, kind(3))]);
        for opened in 1..=5 {
            let often = (0..40).fold(opened, |known, now| catalogs.for_session(known, at(now)).number());
            assert_eq!(often, catalogs.for_session(opened, at(39)).number(), "{pattern:b} from {opened}");
        }
    }
}

#[test]
fn a_clock_that_was_set_back_does_not_mix_up_publications() {
    let published_at = |secs| Publication { published: at(secs), ..publication(1, secs, Change) };
    let catalogs = Catalogs::new(Version::compile(published_at(100)).unwrap());
    assert_eq!([50, 100, 150].map(|now| catalogs.publication_time(at(now))), [at(100), at(100), at(150)]);
}

#[test]
fn what_is_withdrawn_never_comes_into_force_but_can_be_read() {
    let catalogs = catalogs(&[(1, 10, Change), (2, 20, Change)]).withdrawn(2, at(15));
    assert_eq!(catalogs.at(at(50)).number(), 1);
    assert!(catalogs.get(2).is_none());
    assert_eq!(catalogs.publication(2).unwrap().withdrawn, Some(at(15)));
    assert_eq!(catalogs.next_number(), 3, "a number is never used twice");
    let again = catalogs.withdrawn(2, at(16)).withdrawn(7, at(16)).withdrawn(1, at(16));
    assert_eq!(again.publications(), catalogs.publications());
    assert_eq!(again.at(at(50)).number(), 1);
}

#[test]
fn what_nobody_needs_is_dropped() {
    let numbers = 1..=VERSIONS_KEPT as u32 + 10;
    let all: Vec<_> = numbers.clone().map(|number| (number, u64::from(number), Change)).collect();
    let all = catalogs(&all);
    let kept = |now, is_used: &dyn Fn(u32) -> bool| -> Vec<u32> {
        let pruned = all.pruned(at(now), is_used);
        let usable: Vec<u32> = pruned.versions().map(Version::number).collect();
        assert_eq!(usable, pruned.publications().iter().map(|it| it.number).collect::<Vec<_>>());
        assert_eq!(pruned.at(at(now)).number(), all.at(at(now)).number());
        usable
    };
    let latest = || numbers.clone().skip(10);
    assert_eq!(kept(1_000, &|_| false), latest().collect::<Vec<_>>());
    assert_eq!(kept(1_000, &|number| number == 3), [3].into_iter().chain(latest()).collect::<Vec<_>>());
    // The one in force and those to come stay, however many.
    assert_eq!(kept(5, &|_| false), numbers.clone().skip(4).collect::<Vec<_>>());
}

#[test]
fn differences_are_told_by_name() {
    let more = "[[service]]\nname = \"music\"\ncontext = \"data\"\nrating_group = 2\nfree = true\n";
    let old = format!("{TEXT}{more}");
    let new =
        TEXT.replace("\"0.01\"", "\"0.02\"").replace("name = \"internet\"", "name = \"internet\"\nslice = \"2 MB\"");
    let night =
        "[[tariff]]\nservice = \"internet\"\nname = \"night\"\nfrom = \"22:00\"\nprice = \"0.005\"\nper = \"1 MB\"\n";
    let new = format!("# reviewed\n{new}{night}");
    assert_eq!(
        differences(&old, &new),
        [
            "service internet: price \"0.01\" -> \"0.02\"",
            "service internet: slice \"2 MB\" added",
            "service music removed",
            "tariff internet/night added: from = \"22:00\", name = \"night\", per = \"1 MB\", price = \"0.005\", \
             service = \"internet\"",
        ]
    );
    assert_eq!(differences(&old, &format!("# the same\n{old}")), [""; 0]);
    assert_eq!(differences("currency = \"EUR\"", "currency = \"CNY\""), ["currency \"EUR\" -> \"CNY\""]);
}
