package testapp

import (
	"os"
	"testing"

	"hotswap/internal/testenv"
)

func TestMain(m *testing.M) {
	if code, ran := testenv.OwnProcesses(); ran {
		os.Exit(code)
	}
	testenv.Parallel(4)
	os.Exit(m.Run())
}
