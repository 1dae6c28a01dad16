package swapper

import (
	"context"
	"slices"
	"time"

	"hotswap/driver"
	"hotswap/internal/inside"
	"hotswap/internal/printable"
)

// awaitAttachers waits until no database that has this one attached is in a swap of
// its own.
func (p *push) awaitAttachers(ctx context.Context) error {
	var announced *driver.Database
	for {
		all := p.db.Attachers()
		i := slices.IndexFunc(all, isFreezing)
		if i < 0 {
			return nil
		}
		if p.left() == 0 {
			return errAttacherHeld(all[i], driver.ErrFreezing, attacherHint)
		}
		if announced != all[i] {
			announced = all[i]
			p.events.step(StepWaiting, "waiting for the swap of "+printable.Line(announced.Path())+", which has this database attached", nil)
		}
		end := p.wait()
		err := sleep(ctx, freezingEvery)
		end()
		if err != nil {
			return err
		}
	}
}

func isFreezing(db *driver.Database) bool { return inside.Of(db).Freezing() }

func anyFreezing(all []*driver.Database) bool {
	return slices.ContainsFunc(all, isFreezing)
}

// attachers are other databases of the program that have the live one attached.
type attachers []*driver.Frozen

// attacherPatience bounds the wait for them, while calls of the live database
// wait: somebody may hold the one and want the other.
const attacherPatience = 250 * time.Millisecond

// freezeAttachers closes the connections of other databases that have this one
// attached, for they have its file open. They attach it again when they reopen.
func (p *push) freezeAttachers(ctx context.Context) (all attachers, err error) {
	defer p.wait()()
	for _, db := range p.db.Attachers() {
		most := min(attacherPatience, p.attempt())
		frozen, err := db.Freeze(ctx, driver.FreezeOptions{Timeout: most, MaxPause: most, Logger: &p.opts.Logger})
		if err != nil {
			return all, errAttacherHeld(db, err, attacherHint)
		}
		p.report.Connections += frozen.Connections
		all = append(all, frozen)
	}
	return all, nil
}

const attacherHint = "try again, or push in place (--method=in-place)"

func errAttacherHeld(db *driver.Database, cause error, hint string) error {
	return &failure{text: printable.Line(db.Path()) + ", which has this database attached, can't be drained", cause: cause, kinds: []error{ErrBusy},
		hint: hint, inPlace: true}
}

// thaw does nothing the second time.
func (a attachers) thaw() {
	for _, frozen := range a {
		frozen.Thaw()
	}
}

// keepAttachersOut has the writes of other databases wait that have this one
// attached. They are drained and closed where that is what happens to the
// database's own: with a rollback journal, and if they read through a shared cache.
// One that can't be is left to SQLite's locks, if it minds those; its calls are made
// again.
func (o *overwrite) keepAttachersOut(ctx context.Context) (all attachers, err error) {
	for _, db := range o.push.db.Attachers() {
		shares := inside.Of(db).SharesCache(o.target.path)
		most := min(attacherPatience, o.push.attempt())
		frozen, err := db.Freeze(ctx, inside.Extend(driver.FreezeOptions{
			Timeout: most, MaxPause: most, Logger: &o.push.opts.Logger,
		}, inside.FreezeOptions{WritesOnly: o.push.wal && !shares}))
		switch {
		case err == nil:
			o.push.report.Connections += frozen.Connections
			all = append(all, frozen)
		case ctx.Err() != nil:
			return all, ctx.Err()
		case shares:
			return all, errAttacherHeld(db, err, "it reads through a shared cache, so its connections must be closed: try again")
		}
	}
	return all, nil
}
