//! The messages of `caaa` that are taken, each as a table of its elements.
//!
//! A path begins below the message; `Body` stands for the element of the message's own name beside the header. What all
//! messages share stands in one table, what only one has in its own.

use crate::edge::problem::{Code, Problem};

/// What is made of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// It becomes what a JSON pointer names (whose faults are this element's), or is kept for the response.
    Taken(&'static str),
    /// The same, but it need not stand there.
    Optional(&'static str),
    /// It may stand there, with all that is in it: the register knows better, or the bank is not told.
    Known,
    /// It may stand there and must say this.
    Only(&'static str),
}

use Use::{Known, Only, Optional, Taken};

/// An element by its path, and what is made of it.
pub(super) type Row = (&'static str, Use);

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// An authorisation.
    Hold,
    /// An authorisation that captures.
    Sale,
    /// The capture of what an authorisation holds.
    Capture,
    /// That nothing of it happens.
    Void,
    /// The same, told and not asked: it is done in whatever way is left.
    Cancelled,
    /// What happened in a period, compared with what the acceptor says.
    Totals,
    /// Whether anybody is there.
    Echo,
}

/// What its response holds beside header and environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// The transaction and the result of its authorisation.
    Authorisation,
    /// A word on what was told.
    Completion,
    /// The transaction, and whether it was taken back.
    Cancellation,
    /// What happened in a period.
    Totals,
    /// Nothing.
    Echo,
}

/// A message, in the versions that are spoken.
pub(super) struct Form {
    /// Namespaces of requests and of their responses, the newest first.
    versions: &'static [(&'static str, &'static str)],
    /// The request's element in its document.
    pub message: &'static str,
    /// The element beside its header.
    pub body: &'static str,
    /// The response's element in its document, and the one beside its header.
    pub answer: (&'static str, &'static str),
    /// What is in the response.
    pub shape: Shape,
    /// Functions, those of their responses, and what they ask for.
    pub functions: &'static [(&'static str, &'static str, Meaning)],
    /// Where the transaction is named that this one is.
    pub own: &'static str,
    /// Where the transaction is named that this one completes or cancels.
    pub original: &'static str,
    /// Its elements, beside those of all messages.
    rows: [&'static [Row]; 2],
}

/// All of them. A further version is a further pair of namespaces.
static FORMS: [Form; 6] = [
    Form {
        versions: &[("caaa.001.001.13", "caaa.002.001.13")],
        message: "AccptrAuthstnReq",
        body: "AuthstnReq",
        answer: ("AccptrAuthstnRspn", "AuthstnRspn"),
        shape: Shape::Authorisation,
        functions: &[("AUTQ", "AUTP", Meaning::Hold), ("FAUQ", "FAUP", Meaning::Sale)],
        own: "Body/Tx/TxId",
        original: "Body/Tx/TxId",
        rows: [TRANSACTION, AUTHORISATION],
    },
    Form {
        versions: &[("caaa.003.001.13", "caaa.004.001.13")],
        message: "AccptrCmpltnAdvc",
        body: "CmpltnAdvc",
        answer: ("AccptrCmpltnAdvcRspn", "CmpltnAdvcRspn"),
        shape: Shape::Completion,
        functions: &[
            ("FCMV", "FCMK", Meaning::Capture),
            ("FRVA", "FRVR", Meaning::Void),
            ("RVRA", "RVRR", Meaning::Void),
        ],
        own: "Body/Tx/TxId",
        original: "Body/Tx/TxId",
        rows: [TRANSACTION, COMPLETION],
    },
    Form {
        versions: &[("caaa.005.001.13", "caaa.006.001.13")],
        message: "AccptrCxlReq",
        body: "CxlReq",
        answer: ("AccptrCxlRspn", "CxlRspn"),
        shape: Shape::Cancellation,
        functions: &[("CCAQ", "CCAP", Meaning::Void)],
        own: "Body/Tx/TxId",
        original: "Body/Tx/OrgnlTx/TxId",
        rows: [TRANSACTION, CANCELLATION],
    },
    Form {
        versions: &[("caaa.007.001.13", "caaa.008.001.13")],
        message: "AccptrCxlAdvc",
        body: "CxlAdvc",
        answer: ("AccptrCxlAdvcRspn", "CxlAdvcRspn"),
        shape: Shape::Completion,
        functions: &[("CCAV", "CCAK", Meaning::Cancelled)],
        own: "Body/Tx/TxId",
        original: "Body/Tx/OrgnlTx/TxId",
        rows: [TRANSACTION, CANCELLATION],
    },
    Form {
        versions: &[("caaa.009.001.13", "caaa.010.001.13"), ("caaa.009.001.12", "caaa.010.001.11")],
        message: "AccptrRcncltnReq",
        body: "RcncltnReq",
        answer: ("AccptrRcncltnRspn", "RcncltnRspn"),
        shape: Shape::Totals,
        functions: &[("RCLQ", "RCLP", Meaning::Totals)],
        own: "Body/Tx/RcncltnTxId",
        original: "Body/Tx/RcncltnTxId",
        rows: [&[], RECONCILIATION],
    },
    Form {
        versions: &[("caaa.013.001.13", "caaa.014.001.13"), ("caaa.013.001.12", "caaa.014.001.11")],
        message: "AccptrDgnstcReq",
        body: "DgnstcReq",
        answer: ("AccptrDgnstcRspn", "DgnstcRspn"),
        shape: Shape::Echo,
        // The letters are the standard's: here the request ends in P and the response in Q.
        functions: &[("DGNP", "DGNQ", Meaning::Echo)],
        own: "Hdr",
        original: "Hdr",
        rows: [&[], DIAGNOSIS],
    },
];

/// What the names of all namespaces begin with.
const NAMESPACES: &str = "urn:iso:std:iso:20022:tech:xsd:";

const COMMON: &[Row] = &[
    ("Hdr/MsgFctn", Taken("/capture")),
    ("Hdr/PrtcolVrsn", Taken("")),
    ("Hdr/XchgId", Taken("")),
    ("Hdr/ReTrnsmssnCntr", Known),
    ("Hdr/CreDtTm", Known),
    ("Hdr/InitgPty/Id", Taken("")),
    ("Hdr/InitgPty", Known),
    ("Hdr/RcptPty", Known),
    ("Hdr/Tracblt", Known),
    ("Body/Envt/Acqrr", Known),
    ("Body/Envt/SvcPrvdr", Known),
    ("Body/Envt/Mrchnt", Known),
    // Where it is missing the merchant's first terminal is meant, or all of them.
    ("Body/Envt/POI/Id/Id", Optional("/terminal")),
    ("Body/Envt/POI/Id", Known),
    ("Body/Envt/POI", Known),
];

const TRANSACTION: &[Row] = &[
    ("Body/Cntxt/PmtCntxt/CardPres", Only("false")),
    ("Body/Cntxt/PmtCntxt/CrdhldrPres", Only("false")),
    ("Body/Cntxt/PmtCntxt/AttnddInd", Known),
    ("Body/Cntxt/PmtCntxt/TxEnvt", Known),
    ("Body/Cntxt/PmtCntxt/TxChanl", Only("ECOM")),
    ("Body/Cntxt/PmtCntxt/CardDataNtryMd", Only("PHYS")),
    ("Body/Cntxt/SaleCntxt", Known),
    ("Body/Tx/MrchntCtgyCd", Known),
    ("Body/Tx/SaleRefId", Known),
    ("Body/Tx/TxId/TxDtTm", Taken("")),
    ("Body/Tx/TxId/TxRef", Taken("/reference")),
    ("Body/Tx/InitrTxId", Known),
    ("Body/Tx/RcncltnId", Optional("")),
    ("Body/Tx/TxDtls/Ccy", Taken("/amount/currency")),
    ("Body/Tx/TxDtls/TtlAmt", Taken("/amount/value")),
    ("Body/Tx/MrchntRefData", Known),
];

const AUTHORISATION: &[Row] = &[
    ("Body/Envt/Card/PlainCardData/PAN", Taken("/card/number")),
    ("Body/Envt/Card/PlainCardData/XpryDt", Taken("/card/expiry_year")),
    ("Body/Envt/Card/PlainCardData/CrdhldrNm", Known),
    ("Body/Envt/Card/CardBrnd", Known),
    ("Body/Envt/Card/CardCtryCd", Known),
    ("Body/Tx/TxCaptr", Taken("")),
    ("Body/Tx/TxTp", Only("CRDP")),
    ("Body/Tx/TxDtls/AmtQlfr", Only("ACTL")),
];

const COMPLETION: &[Row] = &[
    ("Body/Envt/Card", Known),
    ("Body/Tx/TxTp", Only("CRDP")),
    ("Body/Tx/TxCaptr", Known),
    ("Body/Tx/TxSucss", Taken("")),
    ("Body/Tx/RcptTxId", Known),
    ("Body/Tx/AuthstnRslt", Known),
];

/// Asked for and told alike. That a cancellation failed, or is itself taken back, is not taken.
const CANCELLATION: &[Row] = &[
    ("Body/Envt/Card", Known),
    ("Body/Tx/TxCaptr", Known),
    ("Body/Tx/TxSucss", Only("true")),
    ("Body/Tx/Rvsl", Only("false")),
    ("Body/Tx/RcptTxId", Known),
    ("Body/Tx/AuthstnRslt", Known),
    ("Body/Tx/OrgnlTx/TxId/TxDtTm", Taken("")),
    ("Body/Tx/OrgnlTx/TxId/TxRef", Taken("")),
    ("Body/Tx/OrgnlTx", Known),
];

/// The totals are read by [`super::totals`]: they may stand there often.
const RECONCILIATION: &[Row] = &[
    ("Body/Tx/ClsPrd", Known),
    ("Body/Tx/RcncltnTxId/TxDtTm", Taken("")),
    ("Body/Tx/RcncltnTxId/TxRef", Taken("")),
    ("Body/Tx/RcncltnId", Taken("")),
    ("Body/Tx/TxTtls", Known),
    ("Body/Tx/AddtlTxData", Known),
];

const DIAGNOSIS: &[Row] = &[("Body/AcqrrAvlbtyReqd", Known)];

impl Form {
    /// The message whose documents are in a namespace, and the namespace of its response.
    pub fn of(namespace: &str) -> Option<(&'static Form, String)> {
        let version = namespace.strip_prefix(NAMESPACES)?;
        let answered = |form: &Form| form.versions.iter().find(|(request, _)| *request == version);
        let (form, (_, response)) = FORMS.iter().find_map(|form| Some((form, answered(form)?)))?;
        Some((form, format!("{NAMESPACES}{response}")))
    }

    /// Whether some version of a message is spoken, and this is another one.
    pub fn is_other_version(namespace: &str) -> bool {
        let kind = |version: &str| version.rsplit_once('.').map(|(kind, _)| kind.to_owned());
        let wanted = namespace.strip_prefix(NAMESPACES).and_then(kind);
        let versions = || FORMS.iter().flat_map(|form| form.versions);
        wanted.is_some() && Form::of(namespace).is_none() && versions().any(|(request, _)| kind(request) == wanted)
    }

    /// Every element that may stand in it.
    pub fn rows(&self) -> impl Iterator<Item = &'static Row> + use<> {
        COMMON.iter().chain(self.rows.into_iter().flatten())
    }

    /// Whether something in the table stands below a path.
    pub fn leads_on(&self, path: &str) -> bool {
        self.rows().any(|(known, _)| known.strip_prefix(path).is_some_and(|rest| rest.starts_with('/')))
    }

    /// A problem at a path.
    pub fn at(&self, code: Code, path: &str) -> Problem {
        let path = match path.strip_prefix("Body") {
            Some(rest) => format!("/Document/{}/{}{rest}", self.message, self.body),
            None if path.is_empty() => format!("/Document/{}", self.message),
            None => format!("/Document/{}/{path}", self.message),
        };
        Problem { xpath: Some(path), ..code.into() }
    }
}
