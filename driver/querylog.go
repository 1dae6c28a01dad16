package driver

import (
	"context"
	"database/sql/driver"
	"errors"
	"time"

	"github.com/ngrok/sqlmw"
	"github.com/rs/zerolog"
)

// QueryLog returns an interceptor that logs every query and exec with its text and
// duration, never its arguments: at debug level, at warn level if it took slow or
// longer (0 means that none is slow), and at error level if it failed. The duration
// includes any wait at the gate; a query's ends at its first row.
//
// Unlike the driver's own lines (WithLogger) these are written by the calls themselves,
// and none is lost: a writer that blocks makes every call wait. Give it one that does
// not, such as zerolog's diode.Writer.
func QueryLog(log zerolog.Logger, slow time.Duration) sqlmw.Interceptor {
	return &queryLog{log: log, slow: slow}
}

const fieldTook = "took"

type queryLog struct {
	sqlmw.NullInterceptor
	log  zerolog.Logger
	slow time.Duration
}

func (l *queryLog) done(op, query string, start time.Time, err error) {
	took := time.Since(start)
	level := zerolog.DebugLevel
	switch {
	case err != nil && !errors.Is(err, driver.ErrSkip):
		level = zerolog.ErrorLevel
	case l.slow > 0 && took >= l.slow:
		level = zerolog.WarnLevel
	}
	l.log.WithLevel(level).Err(err).Str("op", op).Str(fieldQuery, query).Dur(fieldTook, took).Msg("query")
}

func (l *queryLog) ConnExecContext(ctx context.Context, c driver.ExecerContext, query string, args []driver.NamedValue) (driver.Result, error) {
	start := time.Now()
	res, err := c.ExecContext(ctx, query, args)
	l.done("exec", query, start, err)
	return res, err
}

func (l *queryLog) ConnQueryContext(ctx context.Context, c driver.QueryerContext, query string, args []driver.NamedValue) (context.Context, driver.Rows, error) {
	start := time.Now()
	rows, err := c.QueryContext(ctx, query, args)
	l.done("query", query, start, err)
	return ctx, rows, err
}

func (l *queryLog) ConnBeginTx(ctx context.Context, c driver.ConnBeginTx, opts driver.TxOptions) (context.Context, driver.Tx, error) {
	start := time.Now()
	tx, err := c.BeginTx(ctx, opts)
	l.done("begin", "BEGIN", start, err)
	return ctx, tx, err
}

func (l *queryLog) StmtExecContext(ctx context.Context, s driver.StmtExecContext, query string, args []driver.NamedValue) (driver.Result, error) {
	start := time.Now()
	res, err := s.ExecContext(ctx, args)
	l.done("exec", query, start, err)
	return res, err
}

func (l *queryLog) StmtQueryContext(ctx context.Context, s driver.StmtQueryContext, query string, args []driver.NamedValue) (context.Context, driver.Rows, error) {
	start := time.Now()
	rows, err := s.QueryContext(ctx, args)
	l.done("query", query, start, err)
	return ctx, rows, err
}

func (l *queryLog) TxCommit(ctx context.Context, tx driver.Tx) error {
	start := time.Now()
	err := tx.Commit()
	l.done("commit", "COMMIT", start, err)
	return err
}
