package sockserver

import (
	"net/http"
	"strings"

	"hotswap/internal/statetag"
)

// The tag of a database's content is an entity tag (RFC 9110, 8.8.3), which comes after the
// body as it is computed while that is sent.
const (
	trailerTag    = "ETag"
	headerIfMatch = "If-Match"
)

// quoteTag makes an entity tag of a tag.
func quoteTag(tag string) string { return `"` + tag + `"` }

// ifMatch reads the tag that the live database must have, from the header, or from the
// parameter, which unlike a header is refused by a server that does not know of it; "" for
// none.
func (q *query) ifMatch(h http.Header) string {
	tag := q.Get(paramIfMatch)
	if q.Has(paramIfMatch) && !statetag.Valid(tag) {
		q.fail(paramIfMatch, "a tag, as a pull reports it")
	}
	if len(h.Values(headerIfMatch)) == 0 {
		return tag
	}
	field := strings.Join(h.Values(headerIfMatch), ", ")
	inField, ok := strings.CutPrefix(field, `"`)
	inField, closed := strings.CutSuffix(inField, `"`)
	switch {
	case q.err != nil:
	case !ok || !closed || !statetag.Valid(inField):
		q.err = badRequest("header %s: %q is not one tag in double quotes, as a pull's %s", headerIfMatch, field, trailerTag)
	case tag != "" && tag != inField:
		q.err = badRequest("header %s is not the parameter %q", headerIfMatch, paramIfMatch)
	}
	return inField
}
