//! Over SCTP each Diameter message is a message of its own: clients take what one read brings as one (spec B-182).

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::AsyncWrite;

/// Hands on no more than one Diameter message with each write.
#[derive(Debug)]
pub(super) struct OneByOne<W> {
    to: W,
    /// Octets of a message whose beginning was taken.
    left: usize,
}

impl<W> OneByOne<W> {
    pub(super) const fn new(to: W) -> Self {
        Self { to, left: 0 }
    }
}

impl<W: AsyncWrite + Unpin> AsyncWrite for OneByOne<W> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        if self.left == 0 {
            // What is written are whole messages, one after the other.
            self.left =
                octets.first_chunk().map_or(octets.len(), |&[_, a, b, c]| u32::from_be_bytes([0, a, b, c]) as usize);
        }
        let message = octets.get(..self.left).unwrap_or(octets);
        let written = std::task::ready!(Pin::new(&mut self.to).poll_write(context, message))?;
        self.left = self.left.saturating_sub(written);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.to).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.to).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    /// Takes at most so many octets at once.
    struct Writes(usize, Vec<Vec<u8>>);

    impl AsyncWrite for Writes {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
            let taken = octets.len().min(self.0);
            self.1.push(octets[..taken].to_vec());
            Poll::Ready(Ok(taken))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn message(length: u8) -> Vec<u8> {
        let mut octets = vec![length; length.into()];
        octets[..4].copy_from_slice(&[1, 0, 0, length]);
        octets
    }

    // tests: B-182
    #[tokio::test]
    async fn each_message_is_written_alone() {
        let messages = [message(20), message(24), message(20)];
        for (at_once, expected) in [(100, vec![20, 24, 20]), (22, vec![20, 22, 2, 20])] {
            let mut writer = OneByOne::new(Writes(at_once, Vec::new()));
            writer.write_all(&messages.concat()).await.unwrap();
            writer.write_all(&messages[0]).await.unwrap();
            let lengths: Vec<_> = writer.to.1.iter().map(Vec::len).collect();
            assert_eq!(lengths, [expected, vec![20]].concat());
            assert_eq!(writer.to.1.concat(), [messages.concat(), messages[0].clone()].concat());
        }
    }
}
