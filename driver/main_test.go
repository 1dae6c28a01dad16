package driver_test

import (
	"fmt"
	"os"
	"testing"

	"hotswap/internal/testenv"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(readerRole); path != "" {
		if err := beReader(path); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if path := os.Getenv(peerRole); path != "" {
		if err := bePeer(path); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	testenv.Parallel(6)
	testenv.NoPeers()
	os.Exit(m.Run())
}
