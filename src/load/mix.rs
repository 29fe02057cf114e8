//! What is asked, how often, and in what turn.

use std::fmt;
use std::str::FromStr;

/// What a merchant can ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// A payment that is captured at once.
    Sale,
    /// A payment that is captured later.
    Authorize,
    /// Of an earlier authorisation.
    Capture,
    /// Of an earlier authorisation.
    Void,
    /// Of an earlier sale.
    Refund,
    /// An earlier payment read again.
    Read,
    /// The last request once more, under the same key.
    Repeat,
}

impl Operation {
    /// All of them.
    pub const ALL: [Operation; 7] = [
        Operation::Sale,
        Operation::Authorize,
        Operation::Capture,
        Operation::Void,
        Operation::Refund,
        Operation::Read,
        Operation::Repeat,
    ];

    /// As it is written in a mix.
    pub fn name(self) -> &'static str {
        match self {
            Operation::Sale => "sale",
            Operation::Authorize => "authorize",
            Operation::Capture => "capture",
            Operation::Void => "void",
            Operation::Refund => "refund",
            Operation::Read => "read",
            Operation::Repeat => "repeat",
        }
    }

    /// Whether it needs the name of an earlier payment.
    pub fn follows(self) -> bool {
        !matches!(self, Operation::Sale | Operation::Authorize | Operation::Repeat)
    }
}

/// Operations with their weights: `sale=8,refund=1,read=3`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mix {
    weights: Vec<(Operation, u32)>,
    total: u32,
}

/// A mix that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MixError {
    /// A part is not `OPERATION=WEIGHT`.
    #[error("{0:?} is not OPERATION=WEIGHT with a weight from 0 to 1000000")]
    Part(String),
    /// The operation is none.
    #[error("{0:?} is no operation; there are sale, authorize, capture, void, refund, read, repeat")]
    Operation(String),
    /// Nothing is asked.
    #[error("all weights are 0")]
    Nothing,
}

impl Mix {
    /// Nothing but sales.
    pub fn sales() -> Mix {
        Mix { weights: vec![(Operation::Sale, 1)], total: 1 }
    }

    /// The operation that a number draws; any number will do.
    pub fn draw(&self, number: u32) -> Operation {
        let mut left = number % self.total;
        for (operation, weight) in &self.weights {
            match left.checked_sub(*weight) {
                None => return *operation,
                Some(rest) => left = rest,
            }
        }
        Operation::Sale
    }

    /// What is asked at all.
    pub fn operations(&self) -> impl Iterator<Item = Operation> {
        self.weights.iter().filter(|(_, weight)| *weight > 0).map(|(operation, _)| *operation)
    }

    /// Whether requests are asked once more.
    pub fn repeats(&self) -> bool {
        self.operations().any(|operation| operation == Operation::Repeat)
    }

    /// Whether something in it needs the names of earlier payments.
    pub fn follows(&self) -> bool {
        self.operations().any(Operation::follows)
    }
}

impl FromStr for Mix {
    type Err = MixError;

    fn from_str(text: &str) -> Result<Mix, MixError> {
        let part = |part: &str| {
            let wrong = || MixError::Part(part.to_owned());
            let (name, weight) = part.split_once('=').ok_or_else(wrong)?;
            let operation = Operation::ALL.into_iter().find(|operation| operation.name() == name.trim());
            let operation = operation.ok_or_else(|| MixError::Operation(name.trim().to_owned()))?;
            let weight = weight.trim().parse().ok().filter(|weight| *weight <= 1_000_000).ok_or_else(wrong)?;
            Ok((operation, weight))
        };
        let weights: Vec<(Operation, u32)> = text.split(',').map(part).collect::<Result<_, _>>()?;
        let total = weights.iter().fold(0_u32, |sum, (_, weight)| sum.saturating_add(*weight));
        if total == 0 { Err(MixError::Nothing) } else { Ok(Mix { weights, total }) }
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self.weights.iter().map(|(of, weight)| format!("{}={weight}", of.name())).collect();
        f.write_str(&parts.join(","))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn weights_are_kept_over_all_numbers() {
        let mix: Mix = "sale=8, refund=1,read=3".parse().unwrap();
        let drawn = |wanted| (0..1_200).filter(|number| mix.draw(*number) == wanted).count();
        let counts = [Operation::Sale, Operation::Refund, Operation::Read, Operation::Void].map(drawn);
        assert_eq!(counts, [800, 100, 300, 0]);
        assert!(mix.follows() && !Mix::sales().follows());
        assert_eq!(mix.to_string(), "sale=8,refund=1,read=3");
        let mix: Mix = "capture=0,sale=1".parse().unwrap();
        assert!(!mix.follows());
        assert_eq!(mix.draw(u32::MAX), Operation::Sale);
    }

    #[test]
    fn mistakes_name_what_is_wrong() {
        let told = |text: &str| text.parse::<Mix>().unwrap_err().to_string();
        assert!(told("sale").contains("\"sale\""));
        assert!(told("sale=x").contains("OPERATION=WEIGHT"));
        assert!(told("sale=1,buy=1").contains("\"buy\" is no operation"));
        assert!(told("sale=4294967295").contains("1000000"));
        assert_eq!("sale=0".parse::<Mix>(), Err(MixError::Nothing));
    }
}
