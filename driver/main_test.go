package driver_test

import (
	"os"
	"testing"

	"hotswap/internal/testenv"
)

func TestMain(m *testing.M) {
	testenv.Parallel(6)
	os.Exit(m.Run())
}
