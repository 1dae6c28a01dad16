package sockserver

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestIfMatchTakesOneTag(t *testing.T) {
	const tag, other = "00112233445566778899aabbccddeeff", "ffeeddccbbaa99887766554433221100"
	for _, c := range []struct {
		query  string
		fields []string
		want   string
		bad    bool
	}{
		{},
		{fields: []string{`"` + tag + `"`}, want: tag},
		{query: tag, want: tag},
		{query: tag, fields: []string{`"` + tag + `"`}, want: tag},
		{query: tag, fields: []string{`"` + other + `"`}, bad: true},
		{query: "1", bad: true},
		{query: `"` + tag + `"`, bad: true},
		{fields: []string{tag}, bad: true},
		{fields: []string{""}, bad: true},
		{fields: []string{`"`}, bad: true},
		{fields: []string{`""`}, bad: true},
		{fields: []string{"*"}, bad: true},
		{fields: []string{`W/"` + tag + `"`}, bad: true},
		{fields: []string{`"` + tag + `", "` + other + `"`}, bad: true},
		{fields: []string{`"` + tag + `"`, `"` + other + `"`}, bad: true},
	} {
		target := "/v1/database?path=database"
		if c.query != "" {
			target += "&if_match=" + c.query
		}
		r := httptest.NewRequest(http.MethodPut, target, nil)
		for _, f := range c.fields {
			r.Header.Add("If-Match", f)
		}
		q, err := parseQuery(r, paramPath, paramIfMatch)
		if err != nil {
			t.Fatal(err)
		}
		if got := q.ifMatch(r.Header); (q.err != nil) != c.bad || !c.bad && got != c.want {
			t.Errorf("%q and %q: %q, %v", c.query, c.fields, got, q.err)
		}
	}
}
