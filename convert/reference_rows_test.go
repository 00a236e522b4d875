package convert

import "testing"

func TestPlaces(t *testing.T) {
	for _, n := range []int{10, 11, 64, 4097, 56 * 56 * 256} {
		for _, k := range []int{1, 7, 10} {
			last := int32(-1)
			for i, at := range places(n, k) {
				if lo, hi := i*n/k, (i+1)*n/k; at <= last || int(at) < lo || int(at) >= hi {
					t.Errorf("place %d of %d in %d is %d, behind %d, want %d to %d", i, k, n, at, last, lo, hi)
				}
				last = at
			}
		}
	}
}
