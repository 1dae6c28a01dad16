package engine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// The kinds of failures; test for them with errors.Is.
var (
	// ErrUnreachable: no server answers at the address.
	ErrUnreachable = errors.New("no engine answers")
	// ErrSilent: a server is connected, but does not answer a request: it has no leader, say.
	ErrSilent = errors.New("the engine does not answer")
	// ErrNotKept: it answers, but not to what is written: its disk is full, or fails.
	ErrNotKept = errors.New("the engine does not keep what is written")
	// ErrCredentials: the server refuses who connects.
	ErrCredentials = errors.New("the engine refuses the credentials")
	// ErrNotPermitted: the credentials lack a right.
	ErrNotPermitted = errors.New("the engine's permissions forbid it")
	// ErrNoJetStream: the server runs without JetStream.
	ErrNoJetStream = errors.New("the engine has no JetStream")
	// ErrTooMany: a limit of the stream, or of the account, on how many may watch is reached.
	ErrTooMany = errors.New("the engine lets no more nodes watch")
	// ErrNoTTL: a stream, which somebody else has made, does not let messages expire.
	ErrNoTTL = errors.New("the engine's stream lets no key expire")
	// ErrFull: a limit of the stream, of the account or of the disk is reached.
	ErrFull = errors.New("the engine is full")
)

// Error is an error of the engine's: what was attempted, where, why it failed and what to do.
type Error struct {
	Op, Where string
	Err       error // wraps one of the kinds, if it is of one
	Hint      string
}

func (e *Error) Error() string {
	text := e.Op
	if e.Where != "" {
		text += " at " + e.Where
	}
	text += ": " + e.Err.Error()
	if e.Hint != "" {
		text += " (" + e.Hint + ")"
	}
	return text
}

func (e *Error) Unwrap() error { return e.Err }

// Explain makes an *Error of what NATS says, but for the end of a context.
func (e *Engine) Explain(op string, err error) error {
	if err == nil {
		return nil
	}
	if _, done := errors.AsType[*Error](err); done || errors.Is(err, context.Canceled) {
		return err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		if denied := e.deniedSince(time.Now().Add(-2 * requestPatience)); denied != nil {
			err = denied
		}
	}
	hint, kind := e.kind(err)
	switch {
	case errors.Is(err, nats.ErrNoServers):
		err = kind // which says the same
	case kind != nil && !errors.Is(err, kind):
		err = fmt.Errorf("%w: %w", kind, err)
	}
	return &Error{Op: op, Where: e.where, Err: err, Hint: hint}
}

// ExplainWrite is Explain for a write: a server whose disk is full does not answer one, and
// answers everything else.
func (e *Engine) ExplainWrite(op string, err error) error {
	err = e.Explain(op, err)
	if errors.Is(err, ErrSilent) && e.answers() {
		return &Error{Op: op, Where: e.where, Err: ErrNotKept,
			Hint: "its disk may be full, as its log then says: make room, and restart it; or the connection is too slow"}
	}
	return err
}

// kind sorts an error.
func (e *Engine) kind(err error) (hint string, kind error) {
	text := strings.ToLower(err.Error())
	switch {
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired), errors.Is(err, nats.ErrAuthRevoked),
		errors.Is(err, nats.ErrAccountAuthExpired):
		return "check --creds, --context, or the user and the password in its address: nats://USER:PASSWORD@HOST", ErrCredentials
	case errors.Is(err, nats.ErrPermissionViolation), errors.Is(err, ErrNotPermitted):
		if strings.Contains(text, "stream.create") {
			return "nobody has used this engine for a fleet yet: have an account that may make streams do so, with `hotswap fleet status`", ErrNotPermitted
		}
		return "", ErrNotPermitted
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount),
		code(err) == codeNotEnabledAccount:
		return "start it with JetStream: `hotswap fleet serve`, or nats-server -js; and enable it for the account", ErrNoJetStream
	case strings.Contains(text, "maximum consumers limit"): // whichever of nats.go's two ways it took
		return "raise the limit of consumers of the stream, or of the account", ErrTooMany
	case code(err) == codeNoTTL:
		return "set allow_msg_ttl of the streams KV_" + FleetBucket + " and KV_" + NodesBucket, ErrNoTTL
	case strings.Contains(text, "maximum bytes exceeded"):
		return "remove old versions with `hotswap fleet gc --keep N`, or raise the limit: --max-store of `hotswap fleet serve`, or that of the stream", ErrFull
	case code(err) == codeStorage, code(err) == codeResources, strings.Contains(text, "no space left"),
		strings.Contains(text, "resource limits exceeded"), strings.Contains(text, "insufficient storage"):
		return "make room on its disk, or raise its limit, and restart it; then `hotswap fleet gc --keep N` removes old versions", ErrFull
	case errors.Is(err, nats.ErrNoServers), errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, nats.ErrDisconnected),
		errors.Is(err, nats.ErrConnectionReconnecting):
		return "is it running, as with `hotswap fleet serve`? Name it with --engine or $" + EnvURL, ErrUnreachable
	case errors.Is(err, nats.ErrTimeout), errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrNoResponders),
		errors.Is(err, jetstream.ErrNoStreamResponse), errors.Is(err, ErrSilent):
		return e.silence()
	}
	if _, network := errors.AsType[net.Error](err); network {
		return "the connection broke", ErrUnreachable
	}
	return "", nil
}

// silence is why there was no answer.
func (e *Engine) silence() (hint string, kind error) {
	if denied := e.deniedSince(time.Now().Add(-2 * requestPatience)); denied != nil {
		return denied.Error(), ErrNotPermitted
	}
	if e.conn != nil && !e.conn.IsConnected() {
		return "the connection is lost", ErrUnreachable
	}
	return "of a cluster more than half of the servers must run", ErrSilent
}

// answers reports whether the engine answers what is written nowhere: whoever leads its streams is
// there.
func (e *Engine) answers() bool {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	for _, name := range []string{ChunkStream, "KV_" + FleetBucket} {
		if _, err := e.js.Stream(ctx, name); err != nil {
			return false
		}
	}
	return true
}
