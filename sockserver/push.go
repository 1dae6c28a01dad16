package sockserver

import (
	"errors"
	"fmt"
	"net/http"

	"hotswap/driver"
	"hotswap/swapper"
)

// servePush is PUT /v1/database: the body replaces the database.
func (a *api) servePush(w http.ResponseWriter, r *http.Request, cmd *command) error {
	opts, err := a.pushOptions(r)
	if err != nil {
		return err
	}
	opts.By = cmd.info.by()
	db, done, err := cmd.open()
	if err != nil {
		return err
	}
	defer done()
	if answered, err := a.unchanged(w, r, cmd, db, opts); answered {
		return err
	}

	if r.URL.Query().Get(paramFrom) != "" {
		return a.pushBackup(w, r, cmd, db, opts)
	}
	if cmd.descriptor != nil && len(r.Header.Values(headerDigest)) == 0 { // the digest is a body's
		return a.pushDescriptor(w, r, cmd, db, opts)
	}
	body := newRequestBody(r.Context(), r, http.NewResponseController(w), a.cfg.stallTimeout())
	defer body.close()
	source, free, err := decoded(r, body)
	if err != nil {
		return err
	}
	defer free()
	if id := r.URL.Query().Get(paramHeld); id != "" {
		base, err := a.held.take(id)
		if err != nil {
			return err
		}
		defer base.release()
		patch := &patchSource{requestBody: body, base: base.Held}
		defer patch.close()
		source = patch
	}
	opts.Logger, opts.Notify = cmd.log, cmd.notify
	cmd.operated = true
	report, err := a.push(r.Context(), db, source, opts)
	cmd.report = &report
	a.program.pushed.note(db.Path(), report)
	if err != nil {
		if failed := body.failure(); failed != nil && !errors.Is(err, failed) {
			return fmt.Errorf("%w: %w", failed, err)
		}
		return causeOf(r.Context(), err)
	}
	cmd.succeed(report, swapper.StepPushComplete)
	return answerJSON(w, report)
}

// pushBackup is servePush of the backup beside the database. There is no body.
func (a *api) pushBackup(w http.ResponseWriter, r *http.Request, cmd *command, db *driver.Database, opts swapper.PushOptions) error {
	source, err := findBackup(db.Path())
	if err != nil {
		return err
	}
	defer source.Close()
	opts.Size = source.info.Size()
	opts.Logger, opts.Notify = cmd.log, cmd.notify
	cmd.operated = true
	report, err := a.push(r.Context(), db, source, opts)
	a.program.pushed.note(db.Path(), report)
	cmd.report = &report
	if err != nil {
		return causeOf(r.Context(), err)
	}
	cmd.succeed(report, swapper.StepPushComplete)
	return answerJSON(w, report)
}

// pushDescriptor is servePush of a file that came with the request. Its body is
// never asked for.
func (a *api) pushDescriptor(w http.ResponseWriter, r *http.Request, cmd *command, db *driver.Database, opts swapper.PushOptions) error {
	if err := cmd.descriptor.Readable(); err != nil {
		return err
	}
	if err := a.refuseManaged(cmd.descriptor, "source", "name it by its path, for a snapshot of it"); err != nil {
		return err
	}
	ctx, stop := connOf(r.Context()).Watch(r.Context())
	defer stop()
	tellPhases(w, r, &opts)
	opts.Logger, opts.Notify = cmd.log, cmd.notify
	cmd.operated = true
	report, err := a.push(ctx, db, cmd.descriptor.Source(a.cfg.stallTimeout()), opts)
	a.program.pushed.note(db.Path(), report)
	cmd.report = &report
	if err != nil {
		return causeOf(ctx, err)
	}
	cmd.succeed(report, swapper.StepPushComplete)
	return answerJSON(w, report)
}

// pushOptions reads the options of a push from the query.
func (a *api) pushOptions(r *http.Request) (swapper.PushOptions, error) {
	q, err := parseQuery(r, paramPath, paramID, paramSource, paramFrom, paramSize, paramSkipIntegrityCheck, paramSkipConstraintCheck, paramSkipSchemaCheck, paramSkipRehearsal,
		paramQuick, paramMethod, paramTimeout, paramMaxPause, paramForce, paramBackup, paramKeep, paramDryRun, paramDigest, paramIfChanged, paramIfMatch, paramHeld)
	if err != nil {
		return swapper.PushOptions{}, err
	}
	opts := swapper.PushOptions{
		Source:              q.Get(paramSource),
		Size:                q.size(paramSize),
		SkipIntegrityCheck:  q.boolean(paramSkipIntegrityCheck),
		SkipConstraintCheck: q.boolean(paramSkipConstraintCheck),
		SkipSchemaCheck:     q.boolean(paramSkipSchemaCheck),
		SkipRehearsal:       q.boolean(paramSkipRehearsal),
		Quick:               q.boolean(paramQuick),
		Method:              q.method(),
		Timeout:             q.duration(paramTimeout, a.cfg.Timeout),
		MaxPause:            q.duration(paramMaxPause, a.cfg.MaxPause),
		Force:               q.boolean(paramForce),
		DryRun:              q.boolean(paramDryRun),
		IfMatch:             q.ifMatch(r.Header),
		Digest:              q.boolean(paramDigest),
		Prepare:             a.cfg.Prepare,
		Validate:            a.cfg.Validate,
	}
	q.backup(&opts, a.cfg.Keep)
	q.digest(paramIfChanged)
	if q.err != nil {
		return opts, q.err
	}
	if opts.IfMatch != "" && q.Has(paramIfChanged) {
		return opts, badRequest("parameter %q: it goes with no condition (%s)", paramIfChanged, headerIfMatch)
	}
	switch from := q.Get(paramFrom); {
	case from != "" && from != fromBackup:
		return opts, badRequest("parameter %q: %q is not %q", paramFrom, from, fromBackup)
	case from != "" && (r.ContentLength != 0 || q.Has(paramSize) || q.Has(paramIfChanged) || r.Header.Get(headerDescriptor) != ""):
		return opts, badRequest("parameter %q: no body, descriptor, %s or %s goes with it", paramFrom, paramSize, paramIfChanged)
	case q.Has(paramHeld) && (from != "" || q.Has(paramSize) || r.Header.Get(headerDescriptor) != "" || r.Header.Get(headerEncoding) != ""):
		return opts, badRequest("parameter %q: no descriptor, encoding, %s or %s goes with it", paramHeld, paramSize, paramFrom)
	case opts.Source == "" && from != "":
		opts.Source = "the backup"
	case opts.Source == "":
		opts.Source = "the request's body"
	}
	if length := r.ContentLength; length > 0 && !q.Has(paramHeld) && r.Header.Get(headerEncoding) == "" { // else it is of something else
		if opts.Size > 0 && opts.Size != length {
			return opts, badRequest("parameter %q: %d, and the body has %d bytes", paramSize, opts.Size, length)
		}
		opts.Size = length
	}
	return opts, nil
}
