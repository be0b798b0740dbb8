//! What a forge tells of a package in its registry.

use serde::Serialize;

use super::Text;

/// A version of a package in the forge's registry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Package<'a> {
    /// What kind it is, in lower case: `container`, `npm`, `maven`, …
    #[serde(rename = "type")]
    pub kind: Text<'a>,
    /// Who or what it belongs to, such as the account or the group of a Maven artifact.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Text<'a>>,
    /// Its name without the namespace.
    pub name: Text<'a>,
    /// The version; of a container image the digest.
    pub version: Text<'a>,
    /// The tag of a container image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<Text<'a>>,
    /// The digest of a container image, such as `sha256:<hex>`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Text<'a>>,
    /// What a container runtime pulls, such as `ghcr.io/acme/shop`: without tag and digest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<Text<'a>>,
    /// The page for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Text<'a>>,
    /// The commit that it was made from, if the payload has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha: Option<Text<'a>>,
}
