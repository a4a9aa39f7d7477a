//! The question for a name, and what an answer says (RFC 1035).

use crate::facts::exchange::Question;
use crate::facts::exchange::Transport;
use simple_dns::CLASS;
use simple_dns::Name;
use simple_dns::Packet;
use simple_dns::QCLASS;
use simple_dns::QTYPE;
use simple_dns::TYPE;
use simple_dns::rdata::RData;
use std::net::IpAddr;

/// Any number does: each question has a socket of its own.
const ID: u16 = 0x6b77;
/// The port of name servers.
pub const PORT: u16 = 53;

/// A name, and the address that it should have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    pub name: String,
    pub address: IpAddr,
}

impl Known {
    /// The question over both transports.
    ///
    /// # Errors
    /// It is no name.
    pub fn questions(&self, server: IpAddr) -> anyhow::Result<[Question; 2]> {
        let kind = if self.address.is_ipv4() { TYPE::A } else { TYPE::AAAA };
        let mut packet = Packet::new_query(ID);
        packet.set_flags(simple_dns::PacketFlag::RECURSION_DESIRED);
        packet.questions.push(simple_dns::Question::new(
            Name::new(&self.name)?,
            QTYPE::TYPE(kind),
            QCLASS::CLASS(CLASS::IN),
            false,
        ));
        let bytes = packet.build_bytes_vec()?;
        let length = u16::try_from(bytes.len())?.to_be_bytes();
        let question = |transport, bytes| Question { transport, server, port: PORT, bytes };
        Ok([
            question(Transport::Udp, bytes.clone()),
            question(Transport::Tcp, [&length[..], &bytes].concat()),
        ])
    }

    /// Whether an answer holds the address.
    ///
    /// # Errors
    /// What it says instead, in words.
    pub fn check(&self, transport: Transport, answer: &[u8]) -> Result<(), String> {
        let answer = if transport == Transport::Tcp { answer.get(2..).unwrap_or_default() } else { answer };
        let packet = Packet::parse(answer).map_err(|error| format!("no answer of a name server: {error}"))?;
        let code = packet.rcode();
        if code != simple_dns::RCODE::NoError {
            return Err(format!("{} says {code:?}", self.name));
        }
        let addresses: Vec<IpAddr> = packet
            .answers
            .iter()
            .filter_map(|record| match &record.rdata {
                RData::A(address) => Some(IpAddr::from(std::net::Ipv4Addr::from(address.address))),
                RData::AAAA(address) => Some(IpAddr::from(std::net::Ipv6Addr::from(address.address))),
                _ => None,
            })
            .collect();
        if addresses.contains(&self.address) {
            return Ok(());
        }
        let said: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        let said = if said.is_empty() { "nothing".to_owned() } else { said.join(", ") };
        Err(format!("{} is {said}, not {}", self.name, self.address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(address: &str) -> Known {
        Known { name: "kubernetes.default.svc.cluster.local".to_owned(), address: address.parse().unwrap() }
    }

    fn answer(known: &Known, address: &str) -> Vec<u8> {
        let [udp, _] = known.questions("10.96.0.10".parse().unwrap()).unwrap();
        let query = Packet::parse(&udp.bytes).unwrap();
        let mut reply = Packet::new_reply(query.id());
        reply.questions.clone_from(&query.questions);
        let data = match address.parse().unwrap() {
            IpAddr::V4(address) => RData::A(address.into()),
            IpAddr::V6(address) => RData::AAAA(address.into()),
        };
        reply.answers.push(simple_dns::ResourceRecord::new(
            Name::new(&known.name).unwrap(),
            CLASS::IN,
            5,
            data,
        ));
        reply.build_bytes_vec().unwrap()
    }

    #[test]
    fn an_answer_holds_the_address_or_not() {
        for address in ["10.96.0.1", "fd00::1"] {
            let known = known(address);
            let right = answer(&known, address);
            assert_eq!(known.check(Transport::Udp, &right), Ok(()));
            let framed = [&[0, 0], &right[..]].concat();
            assert_eq!(known.check(Transport::Tcp, &framed), Ok(()));
        }
        let (one, wrong) = (known("10.96.0.1"), answer(&known("10.96.0.1"), "10.96.0.7"));
        let said = one.check(Transport::Udp, &wrong).unwrap_err();
        assert_eq!(said, "kubernetes.default.svc.cluster.local is 10.96.0.7, not 10.96.0.1");
        assert!(one.check(Transport::Udp, b"nonsense").is_err());
    }

    #[test]
    fn the_question_is_what_resolvers_send() {
        let [udp, tcp] = known("10.96.0.1").questions("10.96.0.10".parse().unwrap()).unwrap();
        // Identifier, recursion desired, one question.
        assert_eq!(udp.bytes[..6], [0x6b, 0x77, 0x01, 0x00, 0x00, 0x01]);
        assert_eq!(udp.bytes[udp.bytes.len() - 4..], [0, 1, 0, 1]);
        assert_eq!(tcp.bytes[2..], udp.bytes[..]);
        assert_eq!(usize::from(u16::from_be_bytes([tcp.bytes[0], tcp.bytes[1]])), udp.bytes.len());
    }
}
