//! Tickets that scanners write: `dependabot_alert`, `code_scanning_alert` and `secret_scanning_alert`.

use std::borrow::Cow;

use serde::Deserialize;

use super::payload::{Account, Repository};
use super::{borrow, key, login, place, time};
use crate::vocabulary::cdevent::CdEvent;
use crate::vocabulary::occurrence::Delivery;
use crate::vocabulary::occurrence::ticket::{CLOSED, CREATED, Told, UPDATED, write};
use crate::vocabulary::read::{Text, When};
use crate::vocabulary::{PayloadError, extract};

#[derive(Debug, Deserialize)]
struct AlertEvent<'a> {
    #[serde(borrow)]
    alert: Alert<'a>,
    #[serde(borrow)]
    repository: Repository<'a>,
    #[serde(borrow)]
    sender: Option<Account<'a>>,
}

#[derive(Debug, Deserialize)]
struct Alert<'a> {
    number: u64,
    #[serde(borrow)]
    html_url: Option<Text<'a>>,
    #[serde(borrow)]
    state: Option<Text<'a>>,
    /// Of Dependabot and of code scanning.
    #[serde(borrow)]
    dismissed_reason: Option<Text<'a>>,
    /// Of secret scanning.
    #[serde(borrow)]
    resolution: Option<Text<'a>>,
    #[serde(borrow)]
    security_advisory: Option<Advisory<'a>>,
    #[serde(borrow)]
    security_vulnerability: Option<Vulnerability<'a>>,
    #[serde(borrow)]
    rule: Option<Rule<'a>>,
    #[serde(borrow)]
    tool: Option<Tool<'a>>,
    #[serde(borrow)]
    secret_type: Option<Text<'a>>,
    #[serde(borrow)]
    secret_type_display_name: Option<Text<'a>>,
    created_at: Option<When>,
    updated_at: Option<When>,
    fixed_at: Option<When>,
    dismissed_at: Option<When>,
    auto_dismissed_at: Option<When>,
    resolved_at: Option<When>,
}

#[derive(Debug, Deserialize)]
struct Advisory<'a> {
    #[serde(borrow)]
    summary: Option<Text<'a>>,
    #[serde(borrow)]
    severity: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
struct Vulnerability<'a> {
    #[serde(borrow)]
    severity: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
struct Rule<'a> {
    #[serde(borrow)]
    id: Option<Text<'a>>,
    #[serde(borrow)]
    description: Option<Text<'a>>,
    #[serde(borrow)]
    severity: Option<Text<'a>>,
    #[serde(borrow)]
    security_severity_level: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
struct Tool<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
}

/// The severities of the three scanners in the priorities that the specification suggests.
static PRIORITIES: &[(&str, &str)] = &[
    ("low", "low"),
    ("note", "low"),
    ("medium", "medium"),
    ("moderate", "medium"),
    ("warning", "medium"),
    ("high", "high"),
    ("error", "high"),
    ("critical", "high"),
];

pub fn created(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    told(delivery, CREATED, out)
}

pub fn updated(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    told(delivery, UPDATED, out)
}

pub fn closed(delivery: &Delivery<'_>, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    told(delivery, CLOSED, out)
}

fn told(delivery: &Delivery<'_>, base: &'static str, out: &mut Vec<CdEvent>) -> Result<(), PayloadError> {
    let AlertEvent { alert, repository, sender } = delivery.payload()?;
    // The number counts within its scanner, and so does the page.
    let (folder, tool, unnamed) = match delivery.webhook.event.as_str() {
        "dependabot_alert" => ("security/dependabot", "dependabot", "a vulnerable dependency"),
        "secret_scanning_alert" => ("security/secret-scanning", "secret-scanning", "a secret"),
        _ => ("security/code-scanning", "code-scanning", "a finding"),
    };
    let closed_at = [alert.fixed_at, alert.resolved_at, alert.dismissed_at, alert.auto_dismissed_at];
    let at = match base {
        CREATED => alert.created_at,
        CLOSED => closed_at.into_iter().flatten().find(|when| when.0.is_some()).or(alert.updated_at),
        _ => alert.updated_at,
    };
    let text = |text: Option<&Text<'_>>| text.filter(|text| !text.is_empty()).map(|text| text.to_string());
    let rule = alert.rule.as_ref();
    let advisory = alert.security_advisory.as_ref();
    let title = text(advisory.and_then(|it| it.summary.as_ref()))
        .or_else(|| text(rule.and_then(|rule| rule.description.as_ref().or(rule.id.as_ref()))))
        .or_else(|| text(alert.secret_type_display_name.as_ref().or(alert.secret_type.as_ref())));
    let severity = text(rule.and_then(|rule| rule.security_severity_level.as_ref()))
        .or_else(|| text(rule.and_then(|rule| rule.severity.as_ref())))
        .or_else(|| text(alert.security_vulnerability.as_ref().and_then(|it| it.severity.as_ref())))
        .or_else(|| text(advisory.and_then(|it| it.severity.as_ref())));
    let priority = match severity {
        Some(severity) => {
            PRIORITIES.iter().find(|(word, _)| *word == severity).map(|(_, priority)| *priority)
        }
        // A secret is out, whatever it opens.
        None => (folder == "security/secret-scanning").then_some("high"),
    };
    let state = borrow(alert.state.as_ref());
    let reason = borrow(alert.dismissed_reason.as_ref().or(alert.resolution.as_ref()));
    let fallback = if delivery.action() == "fixed" { "fixed" } else { "dismissed" };
    delivery.needs(match base {
        CREATED => &["alert.created_at"],
        UPDATED => &["alert.updated_at"],
        _ => &[
            "alert.fixed_at",
            "alert.resolved_at",
            "alert.dismissed_at",
            "alert.auto_dismissed_at",
            "alert.updated_at",
        ],
    })?;
    let place = place(delivery.webhook, repository)?;
    let told = Told {
        base,
        folder,
        deleted: false,
        created: key(alert.created_at),
        occurrence: vec![delivery.action().to_owned(), key(at)],
        time: time(delivery, &[at, alert.updated_at]),
        ticket: extract::Ticket {
            number: alert.number,
            title: Cow::Owned(title.unwrap_or_else(|| unnamed.to_owned())),
            url: borrow(alert.html_url.as_ref()),
            author: Some(
                borrow(alert.tool.as_ref().and_then(|tool| tool.name.as_ref()))
                    .filter(|name| !name.is_empty())
                    .unwrap_or(Cow::Borrowed(tool)),
            ),
            state,
            reason: (base == CLOSED)
                .then(|| reason.filter(|it| !it.is_empty()).unwrap_or(Cow::Borrowed(fallback))),
            kind: Some(Cow::Borrowed("incident")),
            priority: priority.map(Cow::Borrowed),
            ..extract::Ticket::default()
        },
    };
    write(delivery, &told, &place, login(sender.as_ref()), out)
}
