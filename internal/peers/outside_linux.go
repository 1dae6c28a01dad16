package peers

/*
int hotswap_peers_outside(void);
*/
import "C"

import "sync"

// outsiders are what is to be started outside, in order.
var outsiders struct {
	sync.Mutex
	all []func()
}

// outside runs fn on a goroutine that descends from none of the program's, and so is in
// no testing/synctest bubble: one that waits for the network would keep a bubble's clock
// from moving on.
func outside(fn func()) {
	outsiders.Lock()
	outsiders.all = append(outsiders.all, fn)
	outsiders.Unlock()
	if C.hotswap_peers_outside() != 0 {
		hotswapPeersOutside() // no thread is to be had
	}
}

//export hotswapPeersOutside
func hotswapPeersOutside() {
	outsiders.Lock()
	fn := outsiders.all[0]
	outsiders.all = outsiders.all[1:]
	outsiders.Unlock()
	go fn()
}
