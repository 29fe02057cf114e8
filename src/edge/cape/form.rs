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
    /// It may stand there, with all that is in it: the register knows better, or the bank is not told.
    Known,
    /// It may stand there and must say this.
    Only(&'static str),
}

use Use::{Known, Only, Taken};

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
}

/// A message, in one version.
pub(super) struct Form {
    /// Namespace of the request.
    request: &'static str,
    /// Namespace of the response.
    pub response: &'static str,
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
    /// Where the transaction is named that this one completes or cancels.
    pub original: &'static str,
    rows: &'static [Row],
}

/// All of them. A further version is a further row.
static FORMS: [Form; 3] = [
    Form {
        request: "urn:iso:std:iso:20022:tech:xsd:caaa.001.001.13",
        response: "urn:iso:std:iso:20022:tech:xsd:caaa.002.001.13",
        message: "AccptrAuthstnReq",
        body: "AuthstnReq",
        answer: ("AccptrAuthstnRspn", "AuthstnRspn"),
        shape: Shape::Authorisation,
        functions: &[("AUTQ", "AUTP", Meaning::Hold), ("FAUQ", "FAUP", Meaning::Sale)],
        original: "Body/Tx/TxId",
        rows: AUTHORISATION,
    },
    Form {
        request: "urn:iso:std:iso:20022:tech:xsd:caaa.003.001.13",
        response: "urn:iso:std:iso:20022:tech:xsd:caaa.004.001.13",
        message: "AccptrCmpltnAdvc",
        body: "CmpltnAdvc",
        answer: ("AccptrCmpltnAdvcRspn", "CmpltnAdvcRspn"),
        shape: Shape::Completion,
        functions: &[
            ("FCMV", "FCMK", Meaning::Capture),
            ("FRVA", "FRVR", Meaning::Void),
            ("RVRA", "RVRR", Meaning::Void),
        ],
        original: "Body/Tx/TxId",
        rows: COMPLETION,
    },
    Form {
        request: "urn:iso:std:iso:20022:tech:xsd:caaa.005.001.13",
        response: "urn:iso:std:iso:20022:tech:xsd:caaa.006.001.13",
        message: "AccptrCxlReq",
        body: "CxlReq",
        answer: ("AccptrCxlRspn", "CxlRspn"),
        shape: Shape::Cancellation,
        functions: &[("CCAQ", "CCAP", Meaning::Void)],
        original: "Body/Tx/OrgnlTx/TxId",
        rows: CANCELLATION,
    },
];

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
    ("Body/Envt/POI/Id/Id", Taken("/terminal")),
    ("Body/Envt/POI/Id", Known),
    ("Body/Envt/POI", Known),
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
    ("Body/Tx/RcncltnId", Known),
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

const CANCELLATION: &[Row] = &[
    ("Body/Envt/Card", Known),
    ("Body/Tx/TxCaptr", Known),
    ("Body/Tx/RcptTxId", Known),
    ("Body/Tx/OrgnlTx/TxId/TxDtTm", Taken("")),
    ("Body/Tx/OrgnlTx/TxId/TxRef", Taken("")),
    ("Body/Tx/OrgnlTx", Known),
];

impl Form {
    /// The message whose documents are in a namespace.
    pub fn of(namespace: &str) -> Option<&'static Form> {
        FORMS.iter().find(|form| form.request == namespace)
    }

    /// Every element that may stand in it.
    pub fn rows(&self) -> impl Iterator<Item = &'static Row> + use<> {
        COMMON.iter().chain(self.rows)
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
