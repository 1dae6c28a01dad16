package testenv

import (
	"fmt"
	"testing"
	"time"
)

// Eventually polls until check returns no error: for what has no event of its
// own. After a minute the test fails with check's last error.
func Eventually(t testing.TB, check func() error) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(2 * time.Millisecond) {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// Until is Eventually for what is so or not; what names it.
func Until(t testing.TB, what string, is func() bool) {
	t.Helper()
	Eventually(t, func() error {
		if !is() {
			return fmt.Errorf("waited in vain until %s", what)
		}
		return nil
	})
}
