//! Messages out of a packet capture (pcap or pcapng): TCP payloads put together and cut into frames.
//!
//! Each direction of each connection is a stream of its own. Repeated segments are dropped; a stream ends
//! where the capture has a gap, because what follows could not be cut into frames.

use std::collections::BTreeMap;
use std::net::IpAddr;

use bytes::Bytes;
use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use pcap_parser::{Block, Linktype, PcapBlockOwned, PcapError, create_reader};

use super::failure::Failure;
use super::frame::{Frame, cut};

/// One direction of a connection.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Flow {
    from: (IpAddr, u16),
    to: (IpAddr, u16),
}

/// The segments of a flow by their place in the stream.
#[derive(Default)]
struct Stream {
    first: Option<u32>,
    segments: BTreeMap<u32, Vec<u8>>,
}

/// Whether a file begins like a capture.
pub(super) fn is_capture(content: &[u8]) -> bool {
    matches!(
        content,
        [0xD4, 0xC3, 0xB2, 0xA1, ..]
            | [0xA1, 0xB2, 0xC3, 0xD4, ..]
            | [0x4D, 0x3C, 0xB2, 0xA1, ..]
            | [0xA1, 0xB2, 0x3C, 0x4D, ..]
            | [0x0A, 0x0D, 0x0D, 0x0A, ..]
    )
}

/// The frames of all streams, each stream in its order.
pub(super) fn messages(content: &[u8], frame: Frame) -> Result<Vec<Bytes>, Failure> {
    let mut streams: BTreeMap<Flow, Stream> = BTreeMap::new();
    packets(content, |linktype, packet| {
        let sliced = match linktype {
            Linktype::ETHERNET => SlicedPacket::from_ethernet(packet),
            Linktype::LINUX_SLL => SlicedPacket::from_linux_sll(packet),
            Linktype::NULL => SlicedPacket::from_ip(packet.get(4..).unwrap_or_default()),
            _ => SlicedPacket::from_ip(packet),
        };
        if let Ok(sliced) = sliced {
            collect(&mut streams, &sliced);
        }
    })?;
    let mut messages = Vec::new();
    for stream in streams.into_values() {
        messages.extend(cut(&stream.joined(), frame));
    }
    Ok(messages)
}

/// Calls `each` with the link type and bytes of every packet.
fn packets(content: &[u8], mut each: impl FnMut(Linktype, &[u8])) -> Result<(), Failure> {
    let unreadable = |error: &str| Failure::words(format!("not a readable capture: {error}"));
    let mut reader = create_reader(content.len() + 1024, content).map_err(|error| unreadable(&format!("{error:?}")))?;
    let mut linktypes: Vec<Linktype> = Vec::new();
    loop {
        let (consumed, block) = match reader.next() {
            Ok(next) => next,
            // All of it is in the reader's buffer: a block that is not whole was cut off in the file.
            Err(PcapError::Eof | PcapError::Incomplete(_)) => return Ok(()),
            Err(_) => return Err(unreadable("a block is damaged")),
        };
        match block {
            PcapBlockOwned::LegacyHeader(header) => linktypes = vec![header.network],
            PcapBlockOwned::Legacy(packet) => {
                each(linktypes.first().copied().unwrap_or(Linktype::ETHERNET), packet.data)
            }
            PcapBlockOwned::NG(Block::SectionHeader(_)) => linktypes.clear(),
            PcapBlockOwned::NG(Block::InterfaceDescription(interface)) => linktypes.push(interface.linktype),
            PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => {
                let data = packet.data.get(..packet.caplen as usize).unwrap_or(packet.data);
                each(linktypes.get(packet.if_id as usize).copied().unwrap_or(Linktype::ETHERNET), data);
            }
            PcapBlockOwned::NG(_) => {}
        }
        reader.consume(consumed);
    }
}

fn collect(streams: &mut BTreeMap<Flow, Stream>, packet: &SlicedPacket<'_>) {
    let (from, to): (IpAddr, IpAddr) = match &packet.net {
        Some(NetSlice::Ipv4(ip)) => (ip.header().source_addr().into(), ip.header().destination_addr().into()),
        Some(NetSlice::Ipv6(ip)) => (ip.header().source_addr().into(), ip.header().destination_addr().into()),
        _ => return,
    };
    let Some(TransportSlice::Tcp(tcp)) = &packet.transport else {
        return;
    };
    let flow = Flow { from: (from, tcp.source_port()), to: (to, tcp.destination_port()) };
    let stream = streams.entry(flow).or_default();
    let sequence = tcp.sequence_number().wrapping_add(u32::from(tcp.syn()));
    let first = match (tcp.syn(), stream.first) {
        (false, Some(first)) => first,
        _ => *stream.first.insert(sequence),
    };
    if !tcp.payload().is_empty() {
        let place = sequence.wrapping_sub(first);
        let segment = stream.segments.entry(place).or_default();
        if tcp.payload().len() > segment.len() {
            *segment = tcp.payload().to_vec();
        }
    }
}

impl Stream {
    /// The stream as far as it has no gap.
    fn joined(&self) -> Vec<u8> {
        let mut joined: Vec<u8> = Vec::new();
        for (place, segment) in &self.segments {
            let Some(known) = joined.len().checked_sub(*place as usize) else {
                break;
            };
            joined.extend(segment.get(known..).unwrap_or_default());
        }
        joined
    }
}
