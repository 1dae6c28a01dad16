package testapp

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// pace waits for the next round of a worker; false means that the service
// stops.
func pace(stopping context.Context, every time.Duration) bool {
	t := time.NewTimer(every)
	defer t.Stop()
	select {
	case <-stopping.Done():
		return false
	case <-t.C:
		return stopping.Err() == nil
	}
}

// observe runs one call: it counts it, and returns the span in which it ran. A
// call that fails because the service gave it up counts for nothing.
func (s *Service) observe(ctx context.Context, c Call, fn func(context.Context) error) (Span, error) {
	span := Span{First: s.db.Generation(), Start: time.Now()}
	err := fn(ctx)
	span.End = time.Now()
	span.Last = s.db.Generation()
	if err == nil || ctx.Err() == nil {
		s.meter.add(c, span.Start, span.End, err)
	}
	if err != nil && ctx.Err() == nil {
		s.log.Error().Err(err).Str("call", string(c)).Msg("call failed")
	}
	return span, err
}

// runJobs is the job queue: it claims a job in one transaction, and completes
// it in the next. A swap may fall between the two.
func (s *Service) runJobs(ctx context.Context) {
	for seq := int64(1); pace(s.stopping, s.cfg.Interval); seq++ {
		id := ID{"jobs", seq}
		token := fmt.Sprintf("%s/%d", s.instance, seq)
		var job int64
		var ok bool
		_, err := s.observe(ctx, CallClaim, func(ctx context.Context) (err error) {
			job, ok, err = s.store.claim(ctx, token)
			return err
		})
		if err != nil || !ok {
			continue
		}
		gone := false
		span, err := s.observe(ctx, CallComplete, func(ctx context.Context) error {
			err := s.store.complete(ctx, job, token, id)
			if errors.Is(err, errJobGone) {
				gone = true
				return nil
			}
			return err
		})
		if gone {
			s.jobsGone.Add(1)
			continue
		}
		s.cfg.History.AddWrite(Write{ID: id, Kind: Single, Span: span, Acked: err == nil})
	}
}

// runPinned holds one connection for as long as the service runs.
func (s *Service) runPinned(ctx context.Context, conn *sql.Conn) {
	for seq := int64(1); pace(s.stopping, s.cfg.Interval); seq++ {
		id := ID{"pinned", seq}
		span, err := s.observe(ctx, CallPinned, func(ctx context.Context) error { return rawPair(ctx, conn, id) })
		s.cfg.History.AddWrite(Write{ID: id, Kind: Pair, Span: span, Acked: err == nil})
	}
}

// runNested reads with queries inside open Rows, which a gate that waits for
// the Rows and holds back the queries would deadlock.
func (s *Service) runNested(ctx context.Context) {
	for seq := int64(1); pace(s.stopping, s.cfg.Interval); seq++ {
		s.read(ctx, "sweeper", seq, CallNested, s.store.nested)
	}
}

// read runs one read and records it.
func (s *Service) read(ctx context.Context, reader string, seq int64, c Call, fn func(context.Context) (Seen, error)) {
	var seen Seen
	span, err := s.observe(ctx, c, func(ctx context.Context) (err error) {
		seen, err = fn(ctx)
		return err
	})
	if err == nil {
		s.cfg.History.AddRead(Read{Reader: reader, Seq: seq, Call: c, Span: span, Seen: seen})
	}
}
