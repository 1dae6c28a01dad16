package demoapp

import (
	"os"
	"testing"

	"hotswap/internal/testenv"
)

func TestMain(m *testing.M) {
	testenv.Parallel(3)
	os.Exit(m.Run())
}
