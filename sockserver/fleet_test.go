package sockserver

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

// toldFleet is a fleet that notes what it is told.
type toldFleet struct {
	told []string
	err  error
}

func (f *toldFleet) Overview(context.Context) ([]byte, error) {
	return []byte(`{"channels":[]}`), f.err
}

func (f *toldFleet) Halt(_ context.Context, channel string) error {
	f.told = append(f.told, "halt "+channel)
	return f.err
}

func (f *toldFleet) Rollback(_ context.Context, channel string) error {
	f.told = append(f.told, "roll back "+channel)
	return f.err
}

// ask returns the status and the text of an answer.
func ask(h http.Handler, method, target string, header http.Header) (int, string) {
	res := browse(h, method, target, header, nil)
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(text)
}

func TestAFleetIsShownAndChangedByWhomThePageLets(t *testing.T) {
	fleet := &toldFleet{}
	browser := fields("Sec-Fetch-Site", "same-origin")
	for name, handler := range map[string]func(UI) http.Handler{
		"of a program":   func(ui UI) http.Handler { return Handler(Config{UI: ui}) },
		"of an operator": FleetHandler,
	} {
		t.Run(name, func(t *testing.T) {
			for _, ui := range []UI{{Fleet: fleet}, {Fleet: fleet, AllowPush: true}} {
				h := handler(ui)
				if status, text := ask(h, "GET", "/v1/fleet", browser); status != http.StatusOK || text != `{"channels":[]}` {
					t.Errorf("%d: %s", status, text)
				}
				if _, text := ask(h, "GET", "/v1/version", browser); !strings.Contains(text, `"fleet": true`) {
					t.Errorf("it says of itself %s", text)
				}
				if status, _ := ask(h, "POST", "/v1/fleet/halt?channel=a", browser); status != http.StatusForbidden || len(fleet.told) > 0 {
					t.Errorf("without a token: %d, %q", status, fleet.told)
				}
				if status, _ := ask(h, "POST", "/v1/fleet/halt?channel=a", fields("Sec-Fetch-Site", "cross-site")); status != http.StatusForbidden {
					t.Errorf("by another site: %d", status)
				}
			}
		})
	}
	guarded := newBrowserGuard(UI{AllowPush: true, Fleet: fleet})
	for _, what := range []string{"halt", "rollback"} {
		a := newAPI(Config{UI: guarded.ui}, newProgram())
		a.guard = guarded
		token := fields("Sec-Fetch-Site", "same-origin", headerToken, guarded.token)
		if status, text := ask(a.handler(), "POST", "/v1/fleet/"+what+"?channel=a", token); status != http.StatusNoContent {
			t.Errorf("%s: %d: %s", what, status, text)
		}
		fleet.err = errors.New("the engine is away")
		if status, text := ask(a.handler(), "POST", "/v1/fleet/"+what+"?channel=a", token); status != http.StatusBadGateway || !strings.Contains(text, "the engine is away") {
			t.Errorf("%s: %d: %s", what, status, text)
		}
		fleet.err = nil
	}
	if got := strings.Join(fleet.told, ", "); got != "halt a, halt a, roll back a, roll back a" {
		t.Errorf("it is told %q", got)
	}
	if status, _ := ask(Handler(Config{}), "GET", "/v1/fleet", browser); status != http.StatusNotFound {
		t.Errorf("there is none: %d", status)
	}
}
