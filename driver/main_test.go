package driver_test

import (
	"fmt"
	"os"
	"testing"

	"hotswap/internal/testenv"
)

func TestMain(m *testing.M) {
	for role, be := range map[string]func(path string) error{readerRole: beReader, peerRole: bePeer, silentRole: beSilent} {
		if path := os.Getenv(role); path != "" {
			if err := be(path); err != nil {
				fmt.Println(err)
				os.Exit(1)
			}
			os.Exit(0)
		}
	}
	testenv.Parallel(12)
	testenv.NoPeers()
	os.Exit(m.Run())
}
