package main

import (
	"errors"
	"time"

	"hotswap/sockserver"
	"hotswap/swapper"
)

// cpReport is the object that `hotswap cp --json` prints, also on failure.
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
	// Type is the type of problem, if the server answered with one.
	Type sockserver.ProblemType `json:"type,omitempty"`
}

func reportOf(id string, report swapper.Report) cpReport {
	return cpReport{ID: id, Report: report, Swapped: &report.Swapped, PauseMS: float64(report.Pause) / float64(time.Millisecond)}
}

// reportOfFailure says how far the operation got, and why no further.
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

// printedError is an error that has been printed, as an object.
type printedError struct{ error }

func (e printedError) Unwrap() error { return e.error }

func alreadyPrinted(err error) bool {
	_, printed := errors.AsType[printedError](err)
	return printed
}
