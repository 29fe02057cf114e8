//! `isthmus merchant`: who may ask, and by which proof.
//!
//! Works on the register's store, whether a switch runs on it or not; one that does takes changes within seconds. Every
//! change needs a reason (`--why`) and leaves a row with it and with who made it.

mod adding;
mod client_folder;
mod issuing;
mod proofs;
mod shown;

use super::desk::Desk;
use super::{columns, configuration};
use crate::config::Config;
use crate::control::own_name;
use crate::merchants::{MerchantSettings, Order, Registrar, RegistrarError, TerminalSettings};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Add merchants, give and take their keys and certificates, suspend them.
///
/// Merchants of the configuration are shown and not changed: they are changed there.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    isthmus merchant add shop --terminal T0000001 --acceptor SHOP00000000001 --category-code 5999 --city Bonn \
    --country DE --why 'contract 4711'\n  \
    isthmus merchant list\n  \
    isthmus merchant key add shop --scopes read --days 90 --why 'their reporting'\n  \
    isthmus merchant suspend shop --why 'their server was broken into'\n  \
    isthmus merchant signature-key add shop key.pem --scopes sale,refund --days 365 --why 'they sign from now on'\n  \
    isthmus merchant export > merchants.json\n\n\
    Exit code 0 when it was done, 1 when it was refused, 2 when the register cannot be used.")]
pub struct Merchant {
    #[command(flatten)]
    desk: Desk,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Debug)]
enum What {
    /// A new merchant: key pair and certificate, API key, payload keys, and a folder that its client reads.
    Add(Box<adding::Add>),
    /// All merchants.
    List,
    /// One merchant.
    Show {
        /// Which one.
        merchant: String,
    },
    /// It may only read from now on; what is under way goes on.
    Suspend(OfMerchant),
    /// It may do again what it might before.
    Resume(OfMerchant),
    /// It is no merchant any more, once it was suspended; its payments stay in the books.
    Remove(OfMerchant),
    /// API keys.
    #[command(subcommand)]
    Key(proofs::KeyWhat),
    /// Client certificates.
    #[command(subcommand)]
    Certificate(proofs::CertificateWhat),
    /// Keys by which requests are signed.
    #[command(subcommand)]
    SignatureKey(proofs::SignatureKeyWhat),
    /// Terminals.
    #[command(subcommand)]
    Terminal(TerminalWhat),
    /// Take merchants from JSON as `export` writes it: new ones, and others in place of those there are; all or none.
    Import {
        /// The file, or - for standard input. Paths in it start from its folder.
        file: PathBuf,
        #[command(flatten)]
        reason: Reason,
    },
    /// Write merchants as JSON: all of the register, or those that are named. No key is in it, only hashes.
    Export {
        /// Which ones.
        merchants: Vec<String>,
    },
    /// The last changes: who made them, and why.
    Audit {
        /// How many.
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
}

#[derive(Args, Debug)]
struct Reason {
    /// Why; kept for ever.
    #[arg(long, value_name = "TEXT")]
    why: String,
}

#[derive(Args, Debug)]
struct OfMerchant {
    /// Which merchant.
    merchant: String,
    #[command(flatten)]
    reason: Reason,
}

#[derive(Subcommand, Debug)]
enum TerminalWhat {
    /// One more terminal.
    Add {
        /// Whose.
        merchant: String,
        #[command(flatten)]
        terminal: Terminal,
        #[command(flatten)]
        reason: Reason,
    },
}

/// A terminal, as banks are told it.
#[derive(Args, Debug)]
struct Terminal {
    /// Card acceptor terminal identification (element 41), 1 to 8 characters.
    #[arg(long)]
    terminal: String,
    /// Card acceptor identification code (element 42), 1 to 15 characters.
    #[arg(long)]
    acceptor: String,
    /// Merchant category code (element 18), four digits.
    #[arg(long, value_name = "MCC")]
    category_code: String,
    /// Name on statements, at most 25 characters [default: the merchant's].
    #[arg(long, value_name = "NAME")]
    terminal_name: Option<String>,
    /// City, at most 13 characters.
    #[arg(long)]
    city: String,
    /// Country, two letters.
    #[arg(long)]
    country: String,
}

/// Why a command did not do what it was asked.
enum Failure {
    /// The register was asked and refused: exit code 1.
    Refused(String),
    /// It could not be asked: exit code 2.
    Unusable(String),
}

impl From<RegistrarError> for Failure {
    fn from(error: RegistrarError) -> Failure {
        match error {
            RegistrarError::Store(error) => Failure::Unusable(error.to_string()),
            error => Failure::Refused(error.to_string()),
        }
    }
}

impl From<String> for Failure {
    fn from(error: String) -> Failure {
        Failure::Refused(error)
    }
}

impl Merchant {
    /// Does it and says so.
    pub fn run(self) -> ExitCode {
        let json = self.desk.json;
        let done = Office::open(self.desk.config.as_deref(), self.desk.as_name).and_then(|office| self.what.on(office));
        match done {
            Ok((result, _)) if json => {
                println!("{result:#}");
                ExitCode::SUCCESS
            }
            Ok((_, text)) => {
                print!("{text}");
                ExitCode::SUCCESS
            }
            Err(Failure::Refused(error)) => failed(&error, ExitCode::FAILURE),
            Err(Failure::Unusable(error)) => failed(&error, ExitCode::from(2)),
        }
    }
}

fn failed(error: &str, code: ExitCode) -> ExitCode {
    eprintln!("isthmus merchant: {error}");
    code
}

/// What came of a command: for scripts, and for people.
type Done = Result<(Value, String), Failure>;

/// Where a command works: a configuration, the register beside it, and who gives the order.
struct Office {
    config: Config,
    registrar: Registrar,
    who: String,
}

impl Office {
    fn open(config: Option<&Path>, as_name: Option<String>) -> Result<Office, Failure> {
        let path = configuration::named(config).map_err(Failure::Unusable)?;
        let config = Config::load(&path).map_err(|mistakes| {
            Failure::Unusable(mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
        })?;
        let store = config.journal.store.merchants();
        let registrar = Registrar::open(&store, config.merchants.clone(), &config.folder);
        let registrar = registrar.map_err(|error| Failure::Unusable(error.to_string()))?;
        Ok(Office { config, registrar, who: own_name(as_name.as_deref()) })
    }

    fn order(&self, what: &str, reason: Reason) -> Order {
        Order { who: self.who.clone(), what: what.to_owned(), why: reason.why }
    }

    /// Changes a merchant.
    fn change(
        &mut self,
        merchant: &str,
        (what, reason): (&str, Reason),
        change: impl FnOnce(&mut MerchantSettings) -> Result<(), RegistrarError>,
    ) -> Result<(), Failure> {
        let order = self.order(what, reason);
        Ok(self.registrar.change(merchant, &order, change)?)
    }
}

impl What {
    fn on(self, mut office: Office) -> Done {
        match self {
            What::Add(add) => add.on(office),
            What::List => Ok(shown::list(&office.registrar.merchants()?)),
            What::Show { merchant } => Ok(shown::one(&office.registrar.merchant(&merchant)?)),
            What::Suspend(of) => suspend(&mut office, of, true),
            What::Resume(of) => suspend(&mut office, of, false),
            What::Remove(of) => {
                let order = office.order("remove", of.reason);
                office.registrar.remove(&of.merchant, &order)?;
                let text = format!("{} is no merchant any more\n", of.merchant);
                Ok((json!({ "merchant": of.merchant, "removed": true }), text))
            }
            What::Key(what) => what.on(office),
            What::SignatureKey(what) => what.on(office),
            What::Certificate(what) => what.on(office),
            What::Terminal(TerminalWhat::Add { merchant, terminal, reason }) => {
                let terminal = TerminalSettings::from(terminal);
                let result = json!({ "merchant": merchant, "terminal": terminal });
                let text = format!("{merchant} has terminal {}\n", terminal.terminal);
                office.change(&merchant, ("terminal add", reason), |settings| {
                    settings.terminals.push(terminal);
                    Ok(())
                })?;
                Ok((result, text))
            }
            What::Import { file, reason } => import(&mut office, &file, reason),
            What::Export { merchants } => export(&office, &merchants),
            What::Audit { limit } => Ok(shown::changes(&office.registrar.changes(limit)?)),
        }
    }
}

fn suspend(office: &mut Office, of: OfMerchant, suspended: bool) -> Done {
    let what = if suspended { "suspend" } else { "resume" };
    office.change(&of.merchant, (what, of.reason), |merchant| {
        merchant.suspended = suspended;
        Ok(())
    })?;
    let text = match suspended {
        true => format!("{} may only read\n", of.merchant),
        false => format!("{} may do again what it might before\n", of.merchant),
    };
    Ok((json!({ "merchant": of.merchant, "suspended": suspended }), text))
}

fn import(office: &mut Office, file: &Path, reason: Reason) -> Done {
    let unreadable = |path: &Path, error: std::io::Error| Failure::Refused(format!("{}: {error}", path.display()));
    let mut text = String::new();
    match file.as_os_str() == "-" {
        true => std::io::stdin().read_to_string(&mut text).map(drop).map_err(|error| unreadable(file, error))?,
        false => text = std::fs::read_to_string(file).map_err(|error| unreadable(file, error))?,
    }
    let mut reader = serde_json::Deserializer::from_str(&text);
    let read: Result<Vec<MerchantSettings>, _> = serde_path_to_error::deserialize(&mut reader);
    let merchants = read.map_err(|error| Failure::Refused(format!("{}: {error}", file.display())))?;
    let folder = file.parent().unwrap_or(Path::new(""));
    let inline = |merchant: MerchantSettings| merchant.without_files(folder);
    let merchants: Result<Vec<_>, _> = merchants.into_iter().map(inline).collect();
    let merchants = merchants.map_err(|fault| Failure::Refused(fault.to_string()))?;
    let order = office.order("import", reason);
    let changed = office.registrar.import(merchants, &order)?;
    let text = match changed.as_slice() {
        [] => "nothing is new\n".to_owned(),
        changed => format!("taken: {}\n", changed.join(", ")),
    };
    Ok((json!({ "changed": changed }), text))
}

fn export(office: &Office, wanted: &[String]) -> Done {
    let merchants = match wanted {
        [] => {
            let all = office.registrar.merchants()?.into_iter();
            all.filter(|(origin, _)| *origin == crate::merchants::Origin::Register)
                .map(|(_, merchant)| merchant)
                .collect()
        }
        wanted => {
            let one = |id: &String| Ok(office.registrar.merchant(id)?.1);
            wanted.iter().map(one).collect::<Result<Vec<_>, Failure>>()?
        }
    };
    let folder = &office.config.folder;
    let inline = |merchant: MerchantSettings| merchant.without_files(folder);
    let merchants: Result<Vec<_>, _> = merchants.into_iter().map(inline).collect();
    let merchants = merchants.map_err(|fault| Failure::Unusable(fault.to_string()))?;
    let result = json!(merchants);
    let text = format!("{result:#}\n");
    Ok((result, text))
}

impl From<Terminal> for TerminalSettings {
    fn from(terminal: Terminal) -> TerminalSettings {
        TerminalSettings {
            terminal: terminal.terminal,
            acceptor: terminal.acceptor,
            category_code: terminal.category_code,
            name: terminal.terminal_name,
            city: terminal.city,
            country: terminal.country,
        }
    }
}
