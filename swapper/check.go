package swapper

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"

	"hotswap/driver"
	"hotswap/internal/inside"
	"hotswap/internal/memory"
	"hotswap/internal/sqlitefile"
)

// unopenable describes a source that SQLite finds damaged, or not a database, when a
// connection is opened on it, which reads its header and its schema.
const unopenable = "the source is corrupt"

// check refuses what should not become the live database.
func (p *push) check(ctx context.Context) error {
	p.phases.begin("check")
	if !p.stage.checked {
		if err := p.checkContent(ctx); err != nil {
			return err
		}
	}
	pool, err := p.stage.openReadOnly(ctx, p.db, p.hookTrial())
	if err != nil {
		return err
	}
	defer pool.Close()
	// Read in any case: what has no readable schema is no database.
	staged, err := readSchema(ctx, pool)
	if err != nil {
		return badIfCorrupt(ctx, "read the source's schema", "the source's schema can't be read", err)
	}
	if !p.opts.SkipSchemaCheck && (!p.target.empty() || p.removed.open) {
		p.events.plain(StepSchema)
		compare := p.compareSchema
		if !p.target.exists {
			compare = p.compareRemoved
		}
		if err := compare(ctx, staged); err != nil {
			return err
		}
		p.events.plain(StepSchemaPassed)
	}
	if p.opts.Validate != nil && !p.stage.checked {
		p.events.plain(StepValidate)
		if err := validate(ctx, pool, p.opts.Validate); err != nil {
			return err
		}
		p.events.plain(StepValidatePassed)
	}
	if err := pool.Close(); err != nil {
		return failed("close the stage", err)
	}
	return p.stage.assertAlone()
}

// checkContent refuses what would be refused whatever is live.
func (p *push) checkContent(ctx context.Context) error {
	head, err := sqlitefile.ReadHeader(p.stage.file)
	if err != nil {
		return failed("read the stage's header", err)
	}
	if err := checkLength(head, p.stage.size); err != nil {
		return err
	}
	if p.opts.Prepare != nil {
		if err := p.digested(ctx); err != nil { // before it writes
			return err
		}
		if err := p.stage.prepare(ctx, p.db, p.opts.Prepare); err != nil {
			return err
		}
	}
	if !p.opts.SkipIntegrityCheck {
		p.events.plain(StepIntegrity)
		what := integrity{subject: "the source", quick: p.opts.Quick, skipConstraints: p.opts.SkipConstraintCheck, hook: p.hookTrial()}
		if err := p.stage.checkIntegrity(ctx, p.db, what); err != nil {
			return err
		}
		p.events.plain(StepIntegrityPassed)
	}
	return p.digested(ctx)
}

func (p *push) compareSchema(ctx context.Context, staged schema) error {
	if !p.readable {
		return p.errUnread("there is no schema to compare with")
	}
	var liveSchema schema
	err := p.visit(ctx, func(l *live) (err error) {
		liveSchema, err = readSchema(ctx, l.pool)
		return err
	})
	if unreadable(err) {
		p.notRead(err)
		return p.errUnread("there is no schema to compare with")
	}
	if err != nil {
		return liveBusy("read the live database's schema", err)
	}
	if len(liveSchema) == 0 {
		return nil // the program has made nothing yet that could be missed
	}
	return liveSchema.compare(staged)
}

// assertAlone proves that the stage has no sidecars: what it holds is all there is.
func (s *stage) assertAlone() error {
	for _, suffix := range sqlitefile.Sidecars {
		info, err := os.Lstat(s.path + suffix)
		switch {
		case err == nil:
			return failed("close the stage", fmt.Errorf("%s is left with %d bytes", s.path+suffix, info.Size()))
		case !errors.Is(err, os.ErrNotExist):
			return failed("look for what SQLite left beside the stage", err)
		}
	}
	return nil
}

// openReadOnly opens the stage so that nothing appears beside it.
func (s *stage) openReadOnly(ctx context.Context, db *driver.Database, hook hookTrial) (*sql.DB, error) {
	params := []string{"mode=ro", "immutable=1"}
	// With the program's own functions and collations if its hook runs on a
	// read-only file, else without them.
	pool := inside.Of(db).OpenFile(s.path, true, params...)
	err := hook.on(ctx, pool)
	if err == nil {
		return pool, nil
	}
	pool.Close()
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, errHookHangs):
		return nil, err
	}
	pool = inside.Of(db).OpenFile(s.path, false, params...)
	if err := pool.PingContext(ctx); err != nil {
		pool.Close()
		return nil, badIfCorrupt(ctx, "open the stage", unopenable, err)
	}
	return pool, nil
}

// readQuickly returns how the check reads a stage: mapped, which takes two thirds of the
// time or less, if what was written should still be in memory. What must come from the
// disk is not mapped: a page that the disk can't read would be a
// SIGBUS rather than an error, and end the program
// (https://www.sqlite.org/mmap.html).
func (s *stage) readQuickly() (pragma string) { return readQuickly(s.size, memory.Available()) }

// mostCache is how much of a file that is not mapped SQLite keeps in the program's own
// memory; in a small container less, but never less than it would of its own accord.
const (
	mostCache  = 64 << 20
	leastCache = 2 << 20
)

func readQuickly(size, available int64) (pragma string) {
	if pragma := mapping(size, available); pragma != "" {
		return pragma
	}
	return largeCache(available)
}

// mapping is "" for what should not be mapped.
func mapping(size, available int64) (pragma string) {
	if size > available/4 {
		return ""
	}
	return fmt.Sprintf("PRAGMA mmap_size=%d", size)
}

// largeCache has a connection keep more pages in the program's own memory.
func largeCache(available int64) (pragma string) {
	cache := int64(mostCache)
	if available > 0 {
		cache = max(leastCache, min(cache, available/8))
	}
	return fmt.Sprintf("PRAGMA cache_size=-%d", cache>>10) // KiB
}
