//! What functions and operators take and give, so that a call that can never be computed is told at load.
//!
//! The table says of the library's environment and of our own functions what they themselves know and do not tell; a test asks the
//! environment about every name in both forms and with every number and type of arguments.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

/// The types that a value may have, as a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Types(u16);

/// One form of a function.
#[derive(Debug)]
pub(super) struct Signature {
    /// Whether the first argument stands before a dot.
    pub(super) is_member: bool,
    /// The one before the dot included.
    pub(super) takes: Vec<Types>,
    pub(super) gives: Types,
    /// As people write it: `string.truncate(int)`.
    pub(super) shown: &'static str,
}

const NAMES: [(&str, Types); 13] = [
    ("null", Types::NULL),
    ("bool", Types::BOOL),
    ("int", Types::INT),
    ("uint", Types::UINT),
    ("double", Types::DOUBLE),
    ("string", Types::STRING),
    ("bytes", Types::BYTES),
    ("list", Types::LIST),
    ("map", Types::MAP),
    ("type", Types::TYPE),
    ("optional", Types::OPTIONAL),
    ("timestamp", Types::TIMESTAMP),
    ("duration", Types::DURATION),
];
/// Names of several types.
const GROUPS: [(&str, Types); 3] =
    [("any", Types::ANY), ("data", Types::DATA), ("number", Types::INT.or(Types::UINT).or(Types::DOUBLE))];

/// Forms of the parser, which are no functions, and how they are written.
pub(super) const MACROS: [(&str, &str); 12] = [
    ("has", "has(event.data.name)"),
    ("all", "list.all(item, condition)"),
    ("exists", "list.exists(item, condition)"),
    ("exists_one", "list.exists_one(item, condition)"),
    ("existsOne", "list.existsOne(item, condition)"),
    ("map", "list.map(item, value)"),
    ("filter", "list.filter(item, condition)"),
    ("sortBy", "list.sortBy(item, key)"),
    ("optMap", "optional.optMap(value, expression)"),
    ("optFlatMap", "optional.optFlatMap(value, expression)"),
    ("math.greatest", "math.greatest(number, number, …)"),
    ("math.least", "math.least(number, number, …)"),
];

/// Functions first, then operators, each as `call: what it gives`.
const TABLE: &str = "
map.match(string, string): bool
map.canonical(string): string
string.truncate(int): string
truncate(string, int): string
string.decodeb64(): string|bytes
decodeb64(string): string|bytes
string.parseJSON(): data
string.parseYAML(): data
string.parseURL(): map
any.marshalJSON(): string
list.first(): any
list.last(): any
string.translate(string, string): string
toDomainName(string): string
string.toDomainName(): string
toLabel(string): string
string.toLabel(): string
string.split(string): list
string.split(string, int): list
split(string, string): list
string.substring(int): string
string.substring(int, int): string
substring(string, int): string
substring(string, int, int): string
hasAttribute(map, string): bool
size(string|bytes|list|map): int
string|bytes|list|map.size(): int
string.contains(string): bool
string.startsWith(string): bool
string.endsWith(string): bool
string.matches(string): bool
matches(string, string): bool
type(any): type
dyn(any): any
bool(bool|string): bool
bytes(string|bytes): bytes
double(number|string): double
int(number|string|timestamp): int
uint(number|string): uint
string(bool|number|string|bytes|timestamp|duration): string
timestamp(string|timestamp|int): timestamp
duration(string|duration): duration
timestamp.getDate(): int
timestamp.getDate(string): int
timestamp.getDayOfMonth(): int
timestamp.getDayOfMonth(string): int
timestamp.getDayOfWeek(): int
timestamp.getDayOfWeek(string): int
timestamp.getDayOfYear(): int
timestamp.getDayOfYear(string): int
timestamp.getFullYear(): int
timestamp.getFullYear(string): int
timestamp.getMonth(): int
timestamp.getMonth(string): int
timestamp|duration.getHours(): int
timestamp.getHours(string): int
timestamp|duration.getMilliseconds(): int
timestamp.getMilliseconds(string): int
timestamp|duration.getMinutes(): int
timestamp.getMinutes(string): int
timestamp|duration.getSeconds(): int
timestamp.getSeconds(string): int
string.charAt(int): string
string.format(list): string
string.indexOf(string): int
string.indexOf(string, int): int
list.join(): string
list.join(string): string
string.lastIndexOf(string): int
string.lastIndexOf(string, int): int
string.lowerAscii(): string
string.replace(string, string): string
string.replace(string, string, int): string
string.reverse(): string
list.reverse(): list
string.trim(): string
string.upperAscii(): string
strings.quote(string): string
list.slice(int, int): list
list.flatten(): list
list.flatten(int): list
list.distinct(): list
list.sort(): list
lists.range(int): list
math.ceil(double): double
math.floor(double): double
math.round(double): double
math.trunc(double): double
math.isInf(double): bool
math.isNaN(double): bool
math.isFinite(double): bool
math.abs(number): number
math.sign(number): number
math.bitAnd(int, int): int
math.bitAnd(uint, uint): uint
math.bitOr(int, int): int
math.bitOr(uint, uint): uint
math.bitXor(int, int): int
math.bitXor(uint, uint): uint
math.bitNot(int|uint): int|uint
math.bitShiftLeft(int|uint, int): int|uint
math.bitShiftRight(int|uint, int): int|uint
math.sqrt(number): double
base64.encode(bytes): string
base64.decode(string): bytes
sets.contains(list, list): bool
sets.equivalent(list, list): bool
sets.intersects(list, list): bool
optional.of(any): optional
optional.none(): optional
optional.ofNonZeroValue(any): optional
optional.hasValue(): bool
optional.value(): any
optional.or(any): any
optional.orValue(any): any
math.@max(number|list): any
math.@max(number, number): number
math.@min(number|list): any
math.@min(number, number): number
list.@sortByAssociatedKeys(list): list
_+_(int, int): int
_+_(uint, uint): uint
_+_(double, double): double
_+_(string, string): string
_+_(bytes, bytes): bytes
_+_(list, list): list
_+_(duration, duration): duration
_+_(timestamp, duration): timestamp
_+_(duration, timestamp): timestamp
_-_(int, int): int
_-_(uint, uint): uint
_-_(double, double): double
_-_(duration, duration): duration
_-_(timestamp, duration): timestamp
_-_(timestamp, timestamp): duration
_*_(int, int): int
_*_(uint, uint): uint
_*_(double, double): double
_/_(int, int): int
_/_(uint, uint): uint
_/_(double, double): double
_%_(int, int): int
_%_(uint, uint): uint
-_(int): int
-_(double): double
!_(bool): bool
_&&_(bool, bool): bool
_||_(bool, bool): bool
_==_(any, any): bool
_!=_(any, any): bool
_<_(number, number): bool
_<_(bool, bool): bool
_<_(string, string): bool
_<_(bytes, bytes): bool
_<_(timestamp, timestamp): bool
_<_(duration, duration): bool
@in(any, list): bool
@in(bool|number|string, map): bool
";

/// Operators that compare like `_<_`.
const ORDERS: [&str; 3] = ["_<=_", "_>_", "_>=_"];

static SIGNATURES: LazyLock<BTreeMap<String, Vec<Signature>>> = LazyLock::new(|| {
    let mut signatures: BTreeMap<String, Vec<Signature>> = BTreeMap::new();
    for line in TABLE.lines() {
        if let Some((name, signature)) = parse(line) {
            signatures.entry(name).or_default().push(signature);
        }
    }
    signatures
});

/// Every function that expressions may call, macros included, in the order of the alphabet.
static FUNCTIONS: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let functions = SIGNATURES.keys().map(String::as_str).filter(|name| is_function(name));
    let mut names: Vec<&str> = functions.chain(MACROS.iter().map(|(name, _)| *name)).collect();
    names.sort_unstable();
    names
});

/// The forms of a function or operator; none for a name that there is not, or that is a macro.
pub(super) fn of(name: &str) -> &'static [Signature] {
    let name = if ORDERS.contains(&name) { "_<_" } else { name };
    SIGNATURES.get(name).map_or(&[], Vec::as_slice)
}

/// The names of all functions and macros.
pub(super) fn functions() -> &'static [&'static str] {
    &FUNCTIONS
}

/// How a function is called, such as `string.truncate(int)` or `truncate(string, int)`.
pub(super) fn forms(name: &str) -> String {
    if let Some((_, form)) = MACROS.iter().find(|(known, _)| *known == name) {
        return format!("`{form}`");
    }
    let forms: Vec<String> = of(name).iter().map(|signature| format!("`{}`", signature.shown)).collect();
    forms.join(" or ")
}

fn is_function(name: &str) -> bool {
    !name.contains('@') && !name.starts_with(['_', '!', '-'])
}

fn parse(line: &'static str) -> Option<(String, Signature)> {
    let (call, gives) = line.rsplit_once(": ")?;
    let (head, arguments) = call.split_once('(')?;
    let (target, name) = match head.split_once('.') {
        Some((target, name)) => match Types::parse(target) {
            // `optional.of` and the like are functions whose name has a dot.
            Some(_) if ["of", "none", "ofNonZeroValue"].contains(&name) => (None, head),
            Some(target) => (Some(target), name),
            None => (None, head),
        },
        None => (None, head),
    };
    let arguments = arguments.strip_suffix(')')?;
    let arguments = arguments.split(", ").filter(|it| !it.is_empty()).map(Types::parse);
    let takes = target.map(Some).into_iter().chain(arguments).collect::<Option<Vec<Types>>>()?;
    let gives = Types::parse(gives)?;
    Some((name.to_owned(), Signature { is_member: target.is_some(), takes, gives, shown: call }))
}

// === impl Types ===

impl Types {
    pub(super) const NULL: Self = Self(1);
    pub(super) const BOOL: Self = Self(1 << 1);
    pub(super) const INT: Self = Self(1 << 2);
    pub(super) const UINT: Self = Self(1 << 3);
    pub(super) const DOUBLE: Self = Self(1 << 4);
    pub(super) const STRING: Self = Self(1 << 5);
    pub(super) const BYTES: Self = Self(1 << 6);
    pub(super) const LIST: Self = Self(1 << 7);
    pub(super) const MAP: Self = Self(1 << 8);
    pub(super) const TYPE: Self = Self(1 << 9);
    pub(super) const OPTIONAL: Self = Self(1 << 10);
    pub(super) const TIMESTAMP: Self = Self(1 << 11);
    pub(super) const DURATION: Self = Self(1 << 12);
    pub(super) const ANY: Self = Self((1 << 13) - 1);
    /// What an event, a variable or the configuration can hold: numbers are doubles.
    pub(super) const DATA: Self =
        Self::NULL.or(Self::BOOL).or(Self::DOUBLE).or(Self::STRING).or(Self::LIST).or(Self::MAP);

    pub(super) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) const fn overlaps(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    fn parse(text: &str) -> Option<Self> {
        let one = |name: &str| {
            NAMES.iter().chain(&GROUPS).find(|(known, _)| *known == name).map(|(_, types)| *types)
        };
        text.split('|').map(one).try_fold(Self(0), |all, one| Some(all.or(one?)))
    }
}

impl fmt::Display for Types {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((name, _)) = GROUPS.iter().find(|(_, types)| types == self) {
            return f.write_str(name);
        }
        let names = NAMES.iter().filter(|(_, types)| self.overlaps(*types)).map(|(name, _)| *name);
        f.write_str(&names.collect::<Vec<_>>().join("|"))
    }
}

impl Signature {
    /// Whether arguments of these types may fit.
    pub(super) fn fits(&self, is_member: bool, given: &[Types]) -> bool {
        self.is_member == is_member
            && self.takes.len() == given.len()
            && self.takes.iter().zip(given).all(|(takes, given)| takes.overlaps(*given))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_is_read() {
        for line in TABLE.lines().filter(|line| !line.is_empty()) {
            assert!(parse(line).is_some(), "{line}");
        }
        assert_eq!(forms("truncate"), "`string.truncate(int)` or `truncate(string, int)`");
        assert_eq!(forms("optional.of"), "`optional.of(any)`");
    }
}
