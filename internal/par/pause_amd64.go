//go:build !purego

package par

// pause tells the core that this is a spin loop: 140 cycles or so in which the
// other hyperthread has the core.
func pause()
