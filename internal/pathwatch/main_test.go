package pathwatch_test

import (
	"os"
	"testing"

	"hotswap/internal/testenv"
)

func TestMain(m *testing.M) {
	testenv.Parallel(8)
	os.Exit(m.Run())
}
