package sockserver

import (
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"hotswap/swapper"
)

// The query parameters.
const (
	paramPath                = "path"
	paramID                  = "id"
	paramSize                = "size"
	paramSource              = "source"
	paramFrom                = "from"
	paramDest                = "dest"
	paramSkipIntegrityCheck  = "skip_integrity_check"
	paramSkipSchemaCheck     = "skip_schema_check"
	paramSkipRehearsal       = "skip_rehearsal"
	paramSkipConstraintCheck = "skip_constraint_check"
	paramCheck               = "check"
	paramQuick               = "quick"
	paramMethod              = "method"
	paramTimeout             = "timeout"
	paramMaxPause            = "max_pause"
	paramForce               = "force"
	paramBackup              = "backup"
	paramKeep                = "keep"
	paramTag                 = "tag"
	paramTags                = "tags"
	paramDryRun              = "dry_run"
	paramIfChanged           = "if_changed"
	paramIfMatch             = "if_match"
	paramDigest              = "digest"
	paramHeld                = "held"
	paramExtent              = "extent"
	paramKey                 = "key"
)

// maxIDLength bounds a command's id, which ends up in logs and status lines.
const maxIDLength = 64

// query reads a request's parameters. The first that can't be read is its err;
// a reader after that returns zero values.
type query struct {
	url.Values
	err error
}

// parseQuery parses the parameters, each of which may come once and must be
// one of allowed: a misspelt option must not pass for the default.
func parseQuery(r *http.Request, allowed ...string) (*query, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, badRequest("read the query %q: %v", r.URL.RawQuery, err)
	}
	for name, all := range values {
		if !slices.Contains(allowed, name) {
			return nil, badRequest("unknown parameter %q: %s takes %s",
				name, r.URL.Path, strings.Join(allowed, ", "))
		}
		if len(all) > 1 {
			return nil, badRequest("parameter %q is given %d times", name, len(all))
		}
	}
	q := &query{Values: values}
	if id := q.Get(paramID); !validID(id) {
		return nil, badRequest("parameter %q: %q is not at most %d letters, digits, - and _",
			paramID, id, maxIDLength)
	}
	return q, nil
}

func (q *query) fail(name, want string) {
	if q.err == nil {
		q.err = badRequest("parameter %q: %q is not %s", name, q.Get(name), want)
	}
}

// boolean reads a flag: 1 or true, 0 or false; the name alone is true.
func (q *query) boolean(name string) bool {
	if !q.Has(name) {
		return false
	}
	if q.Get(name) == "" {
		return true
	}
	value, err := strconv.ParseBool(q.Get(name))
	if err != nil {
		q.fail(name, "true or false")
	}
	return value
}

// wantsTag reads whether a pull's tag is asked for: it is unless the request says no.
func (q *query) wantsTag() bool { return !q.Has(paramTag) || q.boolean(paramTag) }

// duration reads a duration such as 1m30s; absent or 0 is fallback.
func (q *query) duration(name string, fallback time.Duration) time.Duration {
	if !q.Has(name) {
		return fallback
	}
	value, err := time.ParseDuration(q.Get(name))
	if err != nil || value < 0 {
		q.fail(name, `a duration such as "500ms" or "1m30s"`)
		return fallback
	}
	if value == 0 {
		return fallback
	}
	return value
}

// method reads a push's method; absent is the swapper's own choice.
func (q *query) method() swapper.Method {
	switch m := swapper.Method(q.Get(paramMethod)); m {
	case "", swapper.MethodAuto, swapper.MethodRename, swapper.MethodInPlace:
		return m
	}
	q.fail(paramMethod, "auto, rename or in-place")
	return ""
}

// size reads a number of bytes; absent is 0.
func (q *query) size(name string) int64 { return q.number(name, math.MaxInt64, "a number of bytes") }

// number reads a number up to most; absent is 0.
func (q *query) number(name string, most int64, what string) int64 {
	if !q.Has(name) {
		return 0
	}
	value, err := strconv.ParseInt(q.Get(name), 10, 64)
	if err != nil || value < 0 || value > most {
		q.fail(name, what)
	}
	return value
}

// backup reads whether, and how, a push keeps what it replaces: a flag, or one of
// swapper.BackupNames. keep is the program's own setting.
func (q *query) backup(opts *swapper.PushOptions, keep int) {
	switch text := q.Get(paramBackup); text {
	case string(swapper.BackupSimple), string(swapper.BackupNumbered), string(swapper.BackupExisting):
		opts.Backup, opts.BackupAs = true, swapper.BackupNames(text)
	default:
		opts.Backup = q.boolean(paramBackup)
	}
	opts.Keep = int(q.number(paramKeep, math.MaxInt32, "a number of backups"))
	if q.err == nil && opts.Keep > 0 && opts.BackupAs != swapper.BackupNumbered {
		q.err = badRequest("parameter %q: it goes with %s=%s", paramKeep, paramBackup, swapper.BackupNumbered)
	}
	if keep == 0 {
		return
	}
	if !q.Has(paramBackup) {
		opts.Backup, opts.BackupAs = true, swapper.BackupNumbered
	}
	if opts.BackupAs == swapper.BackupNumbered && opts.Keep == 0 {
		opts.Keep = keep
	}
}

// validID accepts the absence of an id, too.
func validID(id string) bool {
	return len(id) <= maxIDLength && strings.IndexFunc(id, func(r rune) bool {
		return r != '-' && r != '_' &&
			(r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}) < 0
}
