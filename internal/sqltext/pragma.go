package sqltext

import (
	"slices"
	"strconv"
	"strings"
)

// is reports whether the token names one of these, which are in capitals.
func is(t Token, names []string) bool {
	word := t.Text
	if t.Kind != Word {
		word = t.Value()
	}
	for _, name := range names {
		if equalFold(word, name) {
			return true
		}
	}
	return false
}

// asks reports whether the pragma's value is an argument of a query, not a setting.
func asks(name Token) bool { return is(name, asking) }

var asking = []string{
	"FOREIGN_KEY_CHECK", "FOREIGN_KEY_LIST", "INDEX_INFO", "INDEX_LIST", "INDEX_XINFO",
	"INTEGRITY_CHECK", "QUICK_CHECK", "TABLE_INFO", "TABLE_LIST", "TABLE_XINFO",
}

// acts reports whether the pragma may write the file even without a value.
func acts(name Token) bool { return is(name, acting) }

var acting = []string{"INCREMENTAL_VACUUM", "OPTIMIZE", "WAL_CHECKPOINT"}

// ofConnection reports whether the pragma sets something of the connection alone.
func ofConnection(name Token) bool {
	return is(name, connectionPragmas) && !equalFold(name.Value(), "JOURNAL_MODE")
}

// OnlyAsks reports whether SQLite ignores the value of the session pragma of this name, in
// lower case, and answers as if it had none.
func OnlyAsks(name, value string) bool {
	switch name {
	case "locking_mode":
		return !equalFold(value, "EXCLUSIVE") && !equalFold(value, "NORMAL")
	case "max_page_count":
		n, ok := integer(value)
		return !ok || n <= 0
	case "analysis_limit", "threads":
		n, ok := integer(value)
		return !ok || n < 0
	}
	return false
}

// integer reads a pragma's value as sqlite3DecOrHexToI64 does.
func integer(value string) (n int64, ok bool) {
	value = strings.TrimSpace(value)
	if len(value) > 2 && (value[:2] == "0x" || value[:2] == "0X") {
		bits, err := strconv.ParseUint(value[2:], 16, 64)
		return int64(bits), err == nil
	}
	n, err := strconv.ParseInt(value, 10, 64)
	return n, err == nil
}

// SessionPragma reports whether the pragma of this name, in lower case, sets something
// of the connection rather than of the file; journal_mode is of both
// (https://www.sqlite.org/pragma.html).
func SessionPragma(name string) bool {
	return is(Token{Kind: Word, Text: name}, connectionPragmas)
}

// SchemaPragma reports whether the session pragma of this name, in lower case, sets
// something of the schema that it names. The others set the connection, whichever they
// name. cache_spill does both.
func SchemaPragma(name string) bool {
	return is(Token{Kind: Word, Text: name}, schemaPragmas)
}

var schemaPragmas = []string{
	"CACHE_SIZE", "CACHE_SPILL", "JOURNAL_MODE", "JOURNAL_SIZE_LIMIT", "LOCKING_MODE",
	"MAX_PAGE_COUNT", "MMAP_SIZE", "SECURE_DELETE", "SYNCHRONOUS",
}

// AllSchemasPragma reports whether the pragma of this name, in lower case, sets all
// schemas if it names none.
func AllSchemasPragma(name string) bool {
	return name == "journal_mode" || slices.Contains(inheritedPragmas, name)
}

// InheritedPragmas lists, in lower case, those with whose latest value a schema starts
// that is attached later.
func InheritedPragmas() []string { return slices.Clone(inheritedPragmas) }

var inheritedPragmas = []string{"locking_mode", "mmap_size", "secure_delete"}

var connectionPragmas = []string{
	"ANALYSIS_LIMIT", "AUTOMATIC_INDEX", "BUSY_TIMEOUT", "CACHE_SIZE", "CACHE_SPILL",
	"CASE_SENSITIVE_LIKE", "CELL_SIZE_CHECK", "CHECKPOINT_FULLFSYNC", "COUNT_CHANGES",
	"DEFER_FOREIGN_KEYS",
	"EMPTY_RESULT_CALLBACKS", "FOREIGN_KEYS", "FULL_COLUMN_NAMES", "FULLFSYNC",
	"IGNORE_CHECK_CONSTRAINTS", "JOURNAL_MODE", "JOURNAL_SIZE_LIMIT", "LEGACY_ALTER_TABLE",
	"LOCKING_MODE", "MAX_PAGE_COUNT", "MMAP_SIZE", "QUERY_ONLY", "READ_UNCOMMITTED",
	"RECURSIVE_TRIGGERS", "REVERSE_UNORDERED_SELECTS", "SECURE_DELETE", "SHORT_COLUMN_NAMES",
	"SYNCHRONOUS", "TEMP_STORE", "THREADS", "TRUSTED_SCHEMA", "WAL_AUTOCHECKPOINT",
	"WRITABLE_SCHEMA",
}
