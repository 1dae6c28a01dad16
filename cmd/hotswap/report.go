package main

import (
	"errors"
	"time"

	"hotswap/sockserver"
	"hotswap/swapper"
)

// cpReport is the object that `hotswap cp --json` prints, whatever came of it.
type cpReport struct {
	// ID is the command's, as in the program's log and in hotswap log --id.
	ID string `json:"id,omitempty"`
	swapper.Report
	// Swapped is null where it is not known whether the new database is live.
	Swapped *bool `json:"swapped"`
	// PauseMS is the report's pause_ns in milliseconds.
	PauseMS float64 `json:"pause_ms"`
	// Exit is the command's exit code. If it is not 0 there is an Error, with
	// what to do (Hint) and what is true nevertheless (Note), if anything.
	Exit  int    `json:"exit"`
	Error string `json:"error,omitempty"`
	Hint  string `json:"hint,omitempty"`
	Note  string `json:"note,omitempty"`
	// Type is the sort of problem, if the server told it.
	Type sockserver.ProblemType `json:"type,omitempty"`
}

func reportOf(id string, report swapper.Report) cpReport {
	return cpReport{ID: id, Report: report, Swapped: &report.Swapped, PauseMS: float64(report.Pause) / float64(time.Millisecond)}
}

// reportOfFailure is as far as the operation came, and why no further.
func reportOfFailure(err error, id, source, target string) cpReport {
	e := explain(err)
	report := swapper.Report{Source: source, Target: target}
	if e.problem != nil {
		if e.problem.Report != nil {
			report = *e.problem.Report
		}
		if len(e.problem.Holders) > 0 {
			report.Holders = e.problem.Holders
		}
	}
	report.Swapped = report.Swapped || e.live == newIsLive
	r := reportOf(id, report)
	if e.live == liveUnknown {
		r.Swapped = nil
	}
	r.Exit, r.Error, r.Hint, r.Note = exitCode(err), e.text, e.hint, e.note
	if e.problem != nil {
		r.Type = e.problem.Type
	}
	return r
}

// saidError is an error that has been told, as an object.
type saidError struct{ error }

func (e saidError) Unwrap() error { return e.error }

func alreadySaid(err error) bool {
	_, said := errors.AsType[saidError](err)
	return said
}
