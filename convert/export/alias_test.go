package export

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
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

// Memory read by other strides is a permutation of the dimensions or nothing that is known.
func TestOrder(t *testing.T) {
	n := func(list ...int) (out []size) {
		for _, k := range list {
			out = append(out, size{n: k, batch: k == 0})
		}
		return out
	}
	for _, c := range []struct {
		shape  []size
		by     []int
		want   []size
		wanted []int
		order  []int
	}{
		{n(0, 4, 8, 8), []int{256, 64, 8, 1}, n(0, 4, 8, 8), []int{256, 64, 8, 1}, []int{0, 1, 2, 3}},
		{n(0, 4, 8, 8), []int{256, 64, 8, 1}, n(0, 4, 8, 8), []int{256, 64, 1, 8}, []int{0, 1, 3, 2}},
		{n(0, 8, 4, 8), []int{256, 8, 64, 1}, n(0, 4, 8, 8), []int{256, 64, 8, 1}, []int{0, 2, 1, 3}},
		{n(0, 6, 1, 1), []int{6, 1, -1, -1}, n(0, 6, 1, 1), []int{6, 1, 6, 6}, []int{0, 1, 2, 3}},
		{n(0, 4, 8), []int{32, 8, 1}, n(0, 4, 8), []int{32, 4, 1}, nil},
		{n(0, 4, 8), []int{32, 8, 1}, n(0, 32), []int{32, 1}, nil},
		{n(0, 4, 4), []int{16, 4, 1}, n(0, 4, 4), []int{16, 1, 1}, nil},
		{n(0, 4), nil, n(0, 4), []int{4, 1}, nil},
	} {
		got, ok := order(c.shape, c.by, c.want, c.wanted)
		if ok != (c.order != nil) || ok && !slices.Equal(got, c.order) {
			t.Errorf("%v by %v read as %v by %v: %v %v, want %v", c.shape, c.by, c.want, c.wanted, got, ok, c.order)
		}
	}
}

// What nobody reads is left out, whatever it is; what writes in place is kept with all that it needs.
func TestUnread(t *testing.T) {
	tensor := func(name string) arg { return arg{"as_tensor", json.RawMessage(`{"name":"` + name + `"}`)} }
	op := func(target, out string, in ...string) node {
		n := node{Name: out, Target: "torch.ops.aten." + target, Outputs: []arg{tensor(out)}}
		for _, name := range in {
			n.Inputs = append(n.Inputs, namedArg{"self", tensor(name)})
		}
		return n
	}
	list := []node{
		op("add.Tensor", "a", "x"), op("uniform.default", "dead", "a"), op("select.int", "dead2", "dead"),
		op("select.int", "part", "a"), op("mul_.Tensor", "part2", "part"), op("mul.out", "o", "x"), op("relu.default", "y", "a"),
	}
	if got := unread(list, []arg{tensor("y")}); len(got) != 2 || !got[1] || !got[2] {
		t.Errorf("not read: %v, want 1 and 2", got)
	}
}

// Other names are those of ops that are read.
func TestAliases(t *testing.T) {
	for name, of := range aliases {
		if ops[of] == nil {
			t.Errorf("%s is called %s, which is not known", of, name)
		}
	}
}
