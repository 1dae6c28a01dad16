package driver

import (
	"time"

	"github.com/rs/zerolog"

	"hotswap/internal/inside"
)

// FreezeOptions are the settings of [Database.Freeze]. The zero value is ready to use.
type FreezeOptions struct {
	// Timeout bounds the wait for holds to end; 0 means 30 s.
	Timeout time.Duration
	// MaxPause bounds the window of one attempt, during which new calls wait; 0 means
	// 1 s. The first window is 5 ms, and each is twice the last.
	MaxPause time.Duration
	// Force, at the timeout, interrupts running calls, closes Rows and rolls
	// transactions back; their owners get ErrForced. The program's own SQL functions
	// can't be interrupted, and functions in Raw are not.
	Force bool
	// Peers makes the freeze span the other processes that have the file open through
	// this driver (see [WithPeers]): they drain in the same attempts, and their
	// connections are closed, too. Freeze returns a *PeerError if one of them does not
	// answer.
	Peers bool
	// Logger, if set, gets a line for every call that is queued and one when it
	// resumes, unless the driver has a logger of its own.
	Logger *zerolog.Logger
	// Notify, if set, is called at each step of the freeze. It runs while calls wait:
	// it must return at once, and must not use the database.
	Notify func(FreezeEvent)

	swap   inside.FreezeOptions
	adopts bool // moves to a file that something else put there
}

// FreezeEvent is one step of a freeze.
type FreezeEvent struct {
	Step FreezeStep
	// Count is the number of holds at FreezeWaiting, and of connections at
	// FreezeClosed.
	Count int
	// Window is how long the gate stays closed at most, at FreezeGateClosed.
	Window time.Duration
	// Holders are those that made the attempt fail, at FreezeGateReopened.
	Holders []Holder
}

// FreezeStep names a step of a freeze.
type FreezeStep int

const (
	FreezeWaiting      FreezeStep = iota // what is held has been counted; once, at the start
	FreezeGateClosed                     // an attempt begins
	FreezeGateReopened                   // it failed
	FreezeClosed                         // it succeeded: every connection is closed
)
