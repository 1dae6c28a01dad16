package moves

import (
	"fmt"
	"os"
	"testing"

	"hotswap/internal/testenv"
)

func TestMain(m *testing.M) {
	if text := os.Getenv(programRole); text != "" {
		if err := runProgram(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if text := os.Getenv(clientRole); text != "" {
		runClient(text)
		return
	}
	if code, ran := testenv.OwnProcesses(); ran {
		os.Exit(code)
	}
	testenv.Parallel(4)
	os.Exit(m.Run())
}
