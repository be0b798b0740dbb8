//! What [`super::meter`] puts into expressions: functions that take steps, and those of the library's that can make
//! much of little or compile a pattern, with a limit.

#![expect(clippy::needless_pass_by_value, reason = "the library calls its functions so")]

use std::cell::RefCell;

use cel::common::types::{
    CelBool, CelBytes, CelInt, CelList, CelMap, CelString, DYN_TYPE, INT_TYPE, LIST_TYPE, STRING_TYPE,
};
use cel::common::value::{CowVal, Val};
use cel::{DeclarationError, Env, ExecutionError};
use regex::{Captures, Regex, RegexBuilder};

use super::{MAX_LIST, meter};
use crate::expression::budget;
use crate::expression::budget::{of_count, of_text};

/// The longest text that a function may make.
const MAX_TEXT: usize = 1024 * 1024;
/// The largest compiled pattern in bytes.
const MAX_PATTERN: usize = 256 * 1024;
/// How many compiled patterns a thread keeps.
const KEPT_PATTERNS: usize = 32;
/// Values are measured to this depth; JSON has no more.
const MAX_DEPTH: usize = 128;

type Result<T> = std::result::Result<T, ExecutionError>;

thread_local! {
    /// The last patterns, the latest at the end: only those that stand in expressions get here.
    static PATTERNS: RefCell<Vec<(String, Regex)>> = const { RefCell::new(Vec::new()) };
}

pub(super) fn declare(env: &mut Env) -> std::result::Result<(), DeclarationError> {
    env.add_overload(meter::LOOP, "loop_dyn_int", vec![DYN_TYPE, INT_TYPE], rounds)?;
    env.add_overload(meter::COST, "cost_dyn", vec![DYN_TYPE], cost)?;
    env.add_overload(meter::DEAR, "dear_dyn", vec![DYN_TYPE], dear)?;
    env.add_overload(meter::PAIRS, "pairs_dyn", vec![DYN_TYPE], pairs)?;
    env.add_overload(meter::RANGE, "range_int", vec![INT_TYPE], range)?;
    let text = || vec![STRING_TYPE, STRING_TYPE];
    env.add_member_overload("@replace", "bounded_replace", STRING_TYPE, text(), replace)?;
    let counted = vec![STRING_TYPE, STRING_TYPE, INT_TYPE];
    env.add_member_overload("@replace", "bounded_replace_count", STRING_TYPE, counted, replace)?;
    env.add_member_overload("@join", "bounded_join", LIST_TYPE, vec![], join)?;
    env.add_member_overload("@join", "bounded_join_separator", LIST_TYPE, vec![STRING_TYPE], join)?;
    env.add_member_overload("@matches", "bounded_member_matches", STRING_TYPE, vec![STRING_TYPE], matches)?;
    env.add_overload("@matches", "bounded_matches", text(), matches)?;
    env.add_member_overload("@translate", "bounded_translate", STRING_TYPE, text(), translate)?;
    Ok(())
}

/// Whether a text can be a pattern; the reason why not.
pub(super) fn check_pattern(pattern: &str) -> std::result::Result<(), String> {
    compile(pattern).map(drop)
}

fn compile(pattern: &str) -> std::result::Result<Regex, String> {
    RegexBuilder::new(&super::pattern::translate(pattern)).size_limit(MAX_PATTERN).build().map_err(|error| {
        match error {
            regex::Error::CompiledTooBig(_) => "the pattern is too large: repeat fewer times".to_owned(),
            _ => "the pattern is not a regular expression".to_owned(),
        }
    })
}

fn spend(steps: u64) -> Result<()> {
    budget::spend(steps).map_err(|error| ExecutionError::function_error("limit", error.to_string()))
}

fn first<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>> {
    args.into_iter().next().ok_or_else(ExecutionError::missing_argument_or_target)
}

fn rounds<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>> {
    let [range, weight] = &args[..] else {
        return Err(ExecutionError::invalid_argument_count(2, args.len()));
    };
    let count = length(range.as_ref());
    if count > MAX_LIST {
        let reason = format!("a loop over {count} items, more than {MAX_LIST}");
        return Err(ExecutionError::function_error("limit", reason));
    }
    let weight = weight.downcast_ref::<CelInt>().map_or(1, |weight| *weight.inner());
    let steps = of_count(count).saturating_mul(u64::try_from(weight).unwrap_or(1));
    spend(steps.saturating_add(measure(range.as_ref(), 0)))?;
    first(args)
}

fn cost<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>> {
    let value = first(args)?;
    spend(measure(value.as_ref(), 0))?;
    Ok(value)
}

fn dear<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>> {
    let value = first(args)?;
    spend(measure(value.as_ref(), 0).saturating_mul(4))?;
    Ok(value)
}

fn pairs<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>> {
    let list = first(args)?;
    let count = of_count(length(list.as_ref()));
    spend(measure(list.as_ref(), 0).saturating_add(count.saturating_mul(count) / 4))?;
    Ok(list)
}

fn length(value: &dyn Val) -> usize {
    value.as_sizer().map_or(0, |sizer| usize::try_from(*sizer.size().inner()).unwrap_or(usize::MAX))
}

/// The steps of looking at a whole value; a map of the event counts when it is read.
fn measure(value: &dyn Val, depth: usize) -> u64 {
    if depth > MAX_DEPTH {
        return 1;
    }
    if let Some(text) = value.downcast_ref::<CelString<'_>>() {
        of_text(text.inner().len())
    } else if let Some(bytes) = value.downcast_ref::<CelBytes<'_>>() {
        of_text(bytes.inner().len())
    } else if let Some(list) = value.downcast_ref::<CelList<'_>>() {
        1 + list.inner().iter().map(|item| measure(item.as_ref(), depth + 1)).sum::<u64>()
    } else if let Some(map) = value.downcast_ref::<CelMap<'_>>() {
        1 + map.inner().values().map(|item| 1 + measure(item.as_ref(), depth + 1)).sum::<u64>()
    } else {
        1
    }
}

fn text<'a>(args: &'a [CowVal<'_, '_>], at: usize) -> Result<&'a str> {
    let found = args.get(at).and_then(|arg| arg.downcast_ref::<CelString<'_>>());
    found.map(CelString::inner).ok_or_else(|| ExecutionError::invalid_argument_count(at + 1, args.len()))
}

fn check_length(function: &str, length: usize) -> Result<()> {
    if length > MAX_TEXT {
        let reason = format!("the text would be longer than {MAX_TEXT} bytes");
        return Err(ExecutionError::function_error(function, reason));
    }
    spend(of_text(length))
}

fn string<'b, 'v>(text: String) -> CowVal<'b, 'v> {
    CowVal::owned(CelString::from(text))
}

fn range<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>> {
    let count = args.first().and_then(|arg| arg.downcast_ref::<CelInt>()).map_or(0, |count| *count.inner());
    let length = usize::try_from(count).unwrap_or(usize::MAX);
    if length > MAX_LIST {
        let reason = format!("a list of {count} items: there may be 0 to {MAX_LIST}");
        return Err(ExecutionError::function_error("lists.range", reason));
    }
    spend(of_count(length))?;
    let items = (0..count).map(|item| Box::new(CelInt::from(item)) as Box<dyn Val + 'v>);
    Ok(CowVal::owned(CelList::from(items.collect::<Vec<_>>())))
}

fn replace<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>> {
    let (whole, old, new) = (text(&args, 0)?, text(&args, 1)?, text(&args, 2)?);
    let most = args.get(3).and_then(|arg| arg.downcast_ref::<CelInt>()).map(|count| *count.inner());
    // A negative count stands for all.
    let most = most.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
    let found = whole.matches(old).take(most).count();
    check_length("replace", whole.len().saturating_add(found.saturating_mul(new.len())))?;
    Ok(string(whole.replacen(old, new, most)))
}

fn join<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>> {
    let separator = if args.len() > 1 { text(&args, 1)? } else { "" };
    let mut joined = String::new();
    let list = args.first().and_then(|list| list.as_iterable());
    let mut items = list.ok_or_else(ExecutionError::missing_argument_or_target)?.iter();
    let mut is_first = true;
    while let Some(item) = items.next() {
        let Some(item) = item.downcast_ref::<CelString<'_>>() else {
            let got = item.get_type().name().to_owned();
            return Err(ExecutionError::UnexpectedType { got, want: "string".to_owned() });
        };
        if !is_first {
            joined.push_str(separator);
        }
        is_first = false;
        joined.push_str(item.inner());
        if joined.len() > MAX_TEXT {
            break;
        }
    }
    check_length("join", joined.len())?;
    Ok(string(joined))
}

/// Does something with a pattern that is compiled once a thread while it is in use.
fn with_pattern<T>(function: &str, pattern: &str, use_it: impl FnOnce(&Regex) -> Result<T>) -> Result<T> {
    let kept = PATTERNS.with_borrow_mut(|patterns| {
        let at = patterns.iter().rposition(|(known, _)| known == pattern)?;
        let entry = patterns.remove(at);
        let regex = entry.1.clone();
        patterns.push(entry);
        Some(regex)
    });
    if let Some(regex) = kept {
        return use_it(&regex);
    }
    spend(100 + 50 * of_count(pattern.len()))?;
    let regex = compile(pattern).map_err(|reason| ExecutionError::function_error(function, reason))?;
    PATTERNS.with_borrow_mut(|patterns| {
        if patterns.len() >= KEPT_PATTERNS {
            patterns.remove(0);
        }
        patterns.push((pattern.to_owned(), regex.clone()));
    });
    use_it(&regex)
}

fn matches<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>> {
    let text_to_search = text(&args, 0)?;
    // The engine may need several steps for each byte.
    spend(of_text(text_to_search.len()).saturating_mul(4))?;
    let found = with_pattern("matches", text(&args, 1)?, |regex| Ok(regex.is_match(text_to_search)))?;
    Ok(CowVal::owned(CelBool::from(found)))
}

/// Tekton's `translate`: replaces by a pattern.
fn translate<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>> {
    let (whole, new) = (text(&args, 0)?, text(&args, 2)?);
    spend(of_text(whole.len()).saturating_mul(8))?;
    let translated = with_pattern("translate", text(&args, 1)?, |regex| {
        let mut out = String::new();
        let mut end = 0;
        for found in regex.captures_iter(whole) {
            let Some(at) = found.get(0) else { break };
            out.push_str(whole.get(end..at.start()).unwrap_or_default());
            expand(&found, new, &mut out)?;
            end = at.end();
        }
        out.push_str(whole.get(end..).unwrap_or_default());
        check_length("translate", out.len())?;
        Ok(out)
    })?;
    Ok(string(translated))
}

fn expand(found: &Captures<'_>, new: &str, out: &mut String) -> Result<()> {
    let before = out.len();
    // It is read once more for every match, whatever comes of it.
    spend(of_text(new.len()))?;
    // A replacement can name its groups as often as it has room to.
    let largest = found.iter().flatten().map(|group| group.len()).max().unwrap_or(0);
    let most = new.len().saturating_add(new.matches('$').count().saturating_mul(largest));
    if before.saturating_add(most) > 2 * MAX_TEXT {
        return check_length("translate", before.saturating_add(most));
    }
    found.expand(new, out);
    spend(of_text(out.len() - before))
}
