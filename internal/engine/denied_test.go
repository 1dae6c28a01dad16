package engine_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"hotswap/internal/engine"
	"hotswap/internal/engine/enginetest"
)

// TestWhatIsForbiddenIsSaidAtOnce: the server answers nothing to a request that it does not
// permit, and a command would wait for ten seconds.
func TestWhatIsForbiddenIsSaidAtOnce(t *testing.T) {
	t.Parallel()
	url := plain(t, func(o *server.Options) {
		o.Users = []*server.User{{Username: "reader", Password: "pw", Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Deny: []string{"$JS.API.STREAM.CREATE.>", "aside"}}}}}
	})
	e := enginetest.Connect(t, engine.Config{URL: strings.Replace(url, "nats://", "nats://reader:pw@", 1)})
	began := time.Now()
	err := e.Setup(t.Context())
	if !errors.Is(err, engine.ErrNotPermitted) || time.Since(began) > 3*time.Second {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
	for _, words := range []string{`the engine's permissions forbid it: publish to "$JS.API.STREAM.CREATE.`, "have an account that may make streams"} {
		if !strings.Contains(err.Error(), words) {
			t.Errorf("%q does not say %q", err, words)
		}
	}
	// What is refused beside a request that is answered does not end it.
	err = e.Retry(t.Context(), func(ctx context.Context) error {
		if err := e.Conn().Publish("aside", nil); err != nil {
			return err
		}
		_, err := e.JetStream().AccountInfo(ctx)
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
