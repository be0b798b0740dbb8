//! The parts of GitHub's payloads that we read, borrowed from the body; everything that GitHub itself leaves out or
//! sets to `null` somewhere is optional.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::vocabulary::time;

/// A string, borrowed unless it has escapes; serde's own `Cow` does not borrow inside an `Option`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text<'a>(pub Cow<'a, str>);

/// A time: RFC 3339, or seconds since 1970. Text that is no time is as good as absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct When(pub Option<Timestamp>);

/// The length of an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count(pub u64);

/// `push`.
#[derive(Debug, Deserialize)]
pub struct Push<'a> {
    #[serde(borrow, rename = "ref")]
    pub reference: Text<'a>,
    #[serde(borrow)]
    pub before: Option<Text<'a>>,
    #[serde(borrow)]
    pub after: Option<Text<'a>>,
    pub created: Option<bool>,
    pub deleted: Option<bool>,
    pub forced: Option<bool>,
    pub commits: Option<Count>,
    pub head_commit: Option<Commit>,
    #[serde(borrow)]
    pub repository: Repository<'a>,
    #[serde(borrow)]
    pub sender: Option<Account<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct Commit {
    pub timestamp: Option<When>,
}

/// `create` and `delete`.
#[derive(Debug, Deserialize)]
pub struct Reference<'a> {
    #[serde(borrow, rename = "ref")]
    pub reference: Text<'a>,
    #[serde(borrow)]
    pub ref_type: Text<'a>,
    #[serde(borrow)]
    pub repository: Repository<'a>,
    #[serde(borrow)]
    pub sender: Option<Account<'a>>,
}

/// `pull_request` and `pull_request_review`.
#[derive(Debug, Deserialize)]
pub struct Change<'a> {
    #[serde(borrow)]
    pub pull_request: PullRequest<'a>,
    #[serde(borrow)]
    pub review: Option<Review<'a>>,
    /// What an `edited` changed; compared as text only.
    #[serde(borrow)]
    pub changes: Option<&'a RawValue>,
    #[serde(borrow)]
    pub repository: Repository<'a>,
    #[serde(borrow)]
    pub sender: Option<Account<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct PullRequest<'a> {
    pub number: u64,
    #[serde(borrow)]
    pub title: Option<Text<'a>>,
    #[serde(borrow)]
    pub html_url: Option<Text<'a>>,
    #[serde(borrow)]
    pub user: Option<Account<'a>>,
    pub draft: Option<bool>,
    #[serde(borrow)]
    pub labels: Option<Vec<Label<'a>>>,
    #[serde(borrow)]
    pub head: Side<'a>,
    #[serde(borrow)]
    pub base: Side<'a>,
    pub merged: Option<bool>,
    #[serde(borrow)]
    pub merge_commit_sha: Option<Text<'a>>,
    pub created_at: Option<When>,
    pub updated_at: Option<When>,
    pub closed_at: Option<When>,
    pub merged_at: Option<When>,
}

#[derive(Debug, Deserialize)]
pub struct Label<'a> {
    #[serde(borrow)]
    pub name: Text<'a>,
}

#[derive(Debug, Deserialize)]
pub struct Side<'a> {
    #[serde(borrow, rename = "ref")]
    pub branch: Text<'a>,
    #[serde(borrow)]
    pub sha: Text<'a>,
    /// `null` once the repository is deleted.
    #[serde(borrow)]
    pub repo: Option<SideRepository<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct SideRepository<'a> {
    pub id: Option<u64>,
    #[serde(borrow)]
    pub full_name: Option<Text<'a>>,
    #[serde(borrow)]
    pub clone_url: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct Review<'a> {
    pub id: u64,
    #[serde(borrow)]
    pub state: Option<Text<'a>>,
    #[serde(borrow)]
    pub user: Option<Account<'a>>,
    #[serde(borrow)]
    pub html_url: Option<Text<'a>>,
    #[serde(borrow)]
    pub commit_id: Option<Text<'a>>,
    pub submitted_at: Option<When>,
    pub updated_at: Option<When>,
}

/// `release`.
#[derive(Debug, Deserialize)]
pub struct ReleaseEvent<'a> {
    #[serde(borrow)]
    pub release: Release<'a>,
    #[serde(borrow)]
    pub repository: Repository<'a>,
    #[serde(borrow)]
    pub sender: Option<Account<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct Release<'a> {
    pub id: u64,
    #[serde(borrow)]
    pub tag_name: Option<Text<'a>>,
    #[serde(borrow)]
    pub name: Option<Text<'a>>,
    #[serde(borrow)]
    pub html_url: Option<Text<'a>>,
    #[serde(borrow)]
    pub target_commitish: Option<Text<'a>>,
    #[serde(borrow)]
    pub author: Option<Account<'a>>,
    pub draft: Option<bool>,
    pub prerelease: Option<bool>,
    pub published_at: Option<When>,
    pub updated_at: Option<When>,
    #[serde(borrow)]
    pub assets: Option<Vec<Asset<'a>>>,
}

#[derive(Debug, Deserialize)]
pub struct Asset<'a> {
    #[serde(borrow)]
    pub name: Text<'a>,
    #[serde(borrow)]
    pub browser_download_url: Option<Text<'a>>,
    #[serde(borrow)]
    pub content_type: Option<Text<'a>>,
    pub size: Option<u64>,
    #[serde(borrow)]
    pub digest: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct Repository<'a> {
    pub id: Option<u64>,
    #[serde(borrow)]
    pub name: Option<Text<'a>>,
    #[serde(borrow)]
    pub full_name: Option<Text<'a>>,
    #[serde(borrow)]
    pub owner: Option<Account<'a>>,
    #[serde(borrow)]
    pub html_url: Text<'a>,
    #[serde(borrow)]
    pub clone_url: Option<Text<'a>>,
    #[serde(borrow)]
    pub default_branch: Option<Text<'a>>,
    pub pushed_at: Option<When>,
}

#[derive(Debug, Deserialize)]
pub struct Account<'a> {
    #[serde(borrow)]
    pub login: Option<Text<'a>>,
}

// === impl Text ===

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrow;
        impl<'de> Visitor<'de> for Borrow {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Borrow)
    }
}

// === impl When ===

impl<'de> Deserialize<'de> for When {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = When;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<When, E> {
                Ok(When(time::parse(text)))
            }

            fn visit_i64<E: Error>(self, seconds: i64) -> Result<When, E> {
                Ok(When(time::from_epoch(seconds)))
            }

            fn visit_u64<E: Error>(self, seconds: u64) -> Result<When, E> {
                Ok(When(i64::try_from(seconds).ok().and_then(time::from_epoch)))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

// === impl Count ===

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Elements;
        impl<'de> Visitor<'de> for Elements {
            type Value = Count;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Count, A::Error> {
                let mut count = 0;
                while seq.next_element::<IgnoredAny>()?.is_some() {
                    count += 1;
                }
                Ok(Count(count))
            }
        }
        deserializer.deserialize_seq(Elements)
    }
}
