package sockserver

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"hotswap/internal/printable"
)

const (
	typeText   = "text/plain"
	typeNDJSON = "application/x-ndjson"
	// headerUnderWay says, of the lines of one command, whether it has begun and not
	// ended; that it has ended may be said a moment before its last line comes.
	headerUnderWay = "Hotswap-Under-Way"
)

// serveEvents streams the feed: as text for people, or as NDJSON for a client
// that asks for it in its Accept field. With an id it is that command's lines,
// and ends with the last of them; without, it is everybody's, for ever. The
// header is sent once the subscription is registered, so that a client which
// has it will miss nothing that it starts after.
func (a *api) serveEvents(w http.ResponseWriter, r *http.Request, cmd *command) error {
	query, err := parseQuery(r, "id")
	if err != nil {
		return err
	}
	format, contentType := formatText, typeText+"; charset=utf-8"
	if wantsNDJSON(r) {
		format, contentType = formatNDJSON, typeNDJSON
	}
	sub := a.outlet.subscribe(query.Get("id"))
	defer sub.cancel()
	guard := newStallGuard(r.Context(), a.cfg.stallTimeout(), http.NewResponseController(w).SetWriteDeadline)
	defer guard.linger()

	w.Header().Set("Content-Type", contentType)
	if sub.id != "" {
		w.Header().Set(headerUnderWay, strconv.FormatBool(a.program.running.has(sub.id)))
	}
	w.WriteHeader(http.StatusOK)
	rc := http.NewResponseController(w)
	view := view{api: a}
	for {
		guard.alive()
		if err := rc.Flush(); err != nil {
			return nil // the reader left: nobody to tell
		}
		lines, more := sub.take()
		for _, line := range view.of(lines) {
			guard.alive()
			if _, err := w.Write(format(line, sub.id == "")); err != nil {
				return nil
			}
		}
		switch {
		case len(lines) > 0:
		case !more:
			return nil
		default:
			select {
			case <-sub.wake:
			case <-r.Context().Done():
				return nil
			}
		}
	}
}

// view is the part of the feed that the readers of one Server or Handler may see: what came
// through it, and what is of databases that it manages. The program may have another one,
// for other databases.
type view struct {
	api *api
	// last is the line that was judged last, and seen the judgement.
	last *Line
	seen bool
	// dropped were lost before lines that are not seen.
	dropped int
}

func (v *view) of(lines []Line) (seen []Line) {
	for _, line := range lines {
		v.dropped += line.Dropped
		if v.last == nil || line.through != v.last.through || line.Path != v.last.Path {
			v.last, v.seen = &line, line.through == v.api || v.api.manages(line.Path)
		}
		if v.seen {
			line.Dropped, v.dropped = v.dropped, 0
			seen = append(seen, line)
		}
	}
	return seen
}

func wantsNDJSON(r *http.Request) bool {
	accept := strings.Join(r.Header.Values("Accept"), ",")
	return strings.Contains(accept, typeNDJSON) || strings.Contains(accept, "json")
}

func formatNDJSON(line Line, _ bool) []byte {
	body, err := json.Marshal(line)
	if err != nil { // a time beyond the year 9999; there is no other way to fail
		return nil
	}
	return append(printable.JSON(body), '\n')
}

// formatText writes a line for people; named says which command it is of,
// where a reader sees more than one.
func formatText(line Line, named bool) []byte {
	var b strings.Builder
	prefix := ""
	if named && line.Command != "" {
		prefix = line.Time.Format(time.TimeOnly) + " " + line.Command + " "
	}
	if line.Dropped > 0 {
		fmt.Fprintf(&b, "%s(%d lines dropped: this reader was too slow)\n", prefix, line.Dropped)
	}
	// A text of several lines stays one command's.
	for text := range strings.SplitSeq(printable.Lines(line.Text), "\n") {
		fmt.Fprintf(&b, "%s%s\n", prefix, text)
	}
	return []byte(b.String())
}
