package export

import (
	"math/rand/v2"
	"testing"
)

// A shape has a view exactly if the places of its elements, in order, are those of some strides.
func TestViewable(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	seen := [2]int{}
	for range 20000 {
		var shape, by []int // of a permuted tensor, of which a part is taken
		n := 1
		for range 1 + rng.IntN(4) {
			d := 1 + rng.IntN(4)
			shape, by = append([]int{d}, shape...), append([]int{n}, by...)
			n *= d
			if rng.IntN(4) == 0 {
				n *= 2
			}
		}
		rng.Shuffle(len(shape), func(i, j int) {
			if rng.IntN(2) == 0 {
				shape[i], shape[j] = shape[j], shape[i]
				by[i], by[j] = by[j], by[i]
			}
		})
		var want []int
		for left := count(shape); left > 1 || rng.IntN(2) == 0; {
			d := 1 + rng.IntN(left)
			for left%d != 0 {
				d--
			}
			want, left = append(want, d), left/d
		}
		var places []int
		for i := range count(shape) {
			at := 0
			for d := len(shape) - 1; d >= 0; d-- {
				at += i % shape[d] * by[d]
				i /= shape[d]
			}
			places = append(places, at)
		}
		run, is := true, true
		for i, at := range places {
			run = run && at == i
			sum, step, k := 0, 1, i
			for d := len(want) - 1; d >= 0; d-- {
				if want[d] > 1 {
					sum += k % want[d] * places[step]
				}
				k /= want[d]
				step *= want[d]
			}
			is = is && at == sum
		}
		if got := viewable(shape, by, want); got != is {
			t.Fatalf("%v by %v as %v: %v", shape, by, want, got)
		}
		if got := contiguous(shape, by); got != run {
			t.Fatalf("%v by %v: contiguous %v", shape, by, got)
		}
		if is {
			seen[0]++
		} else {
			seen[1]++
		}
	}
	if min(seen[0], seen[1]) < 1000 {
		t.Errorf("%v views and copies", seen)
	}
}
