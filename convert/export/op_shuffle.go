package export

import (
	"fmt"
	"slices"
)

func init() {
	ops["rot90"] = func(c *call) ([]*tensor, error) {
		t, k := c.tensor("self"), c.int("k", 1)
		dims := c.dims("dims", t)
		if !c.has("dims") && t.rank() >= 2 {
			dims = []int{0, 1}
		}
		if c.err != nil || len(dims) != 2 {
			c.fail("a turn in %d dimensions", len(dims))
			return nil, c.err
		}
		var err error
		turn := (k%4 + 4) % 4
		if turn == 1 || turn == 2 {
			t, err = c.p.flipped(t, dims[1])
		}
		if err == nil && turn >= 2 {
			t, err = c.p.flipped(t, dims[0])
		}
		if err != nil || turn%2 == 0 {
			return one(t, err)
		}
		return one(t.permute(swapped(t.rank(), dims[0], dims[1])), nil)
	}
	ops["channel_shuffle"] = func(c *call) ([]*tensor, error) {
		t, g := c.tensor("self"), c.int("groups", 1)
		if c.err != nil || t.rank() < 3 || g < 1 || t.shape[1].n%g != 0 {
			c.fail("a shuffle of %d groups", g)
			return nil, c.err
		}
		u, err := c.p.view(t, slices.Concat(t.shape[:1], []size{{n: g}, {n: t.shape[1].n / g}}, t.shape[2:]))
		if err != nil {
			return nil, err
		}
		return one(c.p.view(u.permute(swapped(u.rank(), 1, 2)), t.shape))
	}
	ops["native_channel_shuffle"] = ops["channel_shuffle"]
	ops["flip"] = func(c *call) ([]*tensor, error) {
		t := c.tensor("self")
		list := c.dims("dims", t)
		if len(c.ints("dims", 0)) == 0 {
			list = nil
		}
		for _, d := range list {
			var err error
			if t, err = c.p.flipped(t, d); err != nil {
				return nil, err
			}
		}
		return one(t, c.err)
	}
	ops["roll"] = func(c *call) ([]*tensor, error) {
		t := c.tensor("self")
		shifts, dims := c.ints("shifts", 0), c.dims("dims", t)
		if c.err != nil || len(shifts) != len(dims) {
			c.fail("%d shifts of %d dimensions", len(shifts), len(dims))
			return nil, c.err
		}
		for i, d := range dims {
			n := t.shape[d].n
			k := ((shifts[i] % n) + n) % n
			if t.shape[d].batch {
				return nil, fmt.Errorf("%w: a roll of the batch", ErrUnsupported)
			}
			if k == 0 {
				continue
			}
			a, err := c.part(t, d, n-k, n, 1)
			if err != nil {
				return nil, err
			}
			b, err := c.part(t, d, 0, n-k, 1)
			if err != nil {
				return nil, err
			}
			if t, err = c.p.cat([]*tensor{a[0], b[0]}, d); err != nil {
				return nil, err
			}
		}
		c.link = nil
		return one(t, nil)
	}
	ops["pixel_shuffle"] = func(c *call) ([]*tensor, error) {
		t, r := c.tensor("self"), c.int("upscale_factor", 1)
		n := t.rank()
		if c.err != nil || n < 3 || r < 1 || t.shape[n-3].n%(r*r) != 0 {
			c.fail("pixel_shuffle by %d of rank %d", r, n)
			return nil, c.err
		}
		ch, h, w := t.shape[n-3].n/(r*r), t.shape[n-2], t.shape[n-1]
		lead := t.shape[:n-3]
		t, err := c.p.view(t, slices.Concat(lead, []size{{n: ch}, {n: r}, {n: r}, h, w}))
		if err != nil {
			return nil, err
		}
		k := len(lead)
		t = t.permute(append(upTo(k), k, k+3, k+1, k+4, k+2))
		return one(c.p.view(t, slices.Concat(lead, []size{{n: ch}, {n: h.n * r}, {n: w.n * r}})))
	}
	ops["pixel_unshuffle"] = func(c *call) ([]*tensor, error) {
		t, r := c.tensor("self"), c.int("downscale_factor", 1)
		n := t.rank()
		if c.err != nil || n < 3 || r < 1 || t.shape[n-2].n%r != 0 || t.shape[n-1].n%r != 0 {
			c.fail("pixel_unshuffle by %d of rank %d", r, n)
			return nil, c.err
		}
		ch, h, w := t.shape[n-3], t.shape[n-2].n/r, t.shape[n-1].n/r
		lead := t.shape[:n-3]
		t, err := c.p.view(t, slices.Concat(lead, []size{ch, {n: h}, {n: r}, {n: w}, {n: r}}))
		if err != nil {
			return nil, err
		}
		k := len(lead)
		t = t.permute(append(upTo(k), k, k+2, k+4, k+1, k+3))
		return one(c.p.view(t, slices.Concat(lead, []size{{n: ch.n * r * r}, {n: h}, {n: w}})))
	}
}

// flipped is t with a dimension from the end to the start.
func (p *program) flipped(t *tensor, d int) (*tensor, error) {
	n := t.shape[d].n
	if t.shape[d].batch {
		return nil, fmt.Errorf("%w: a flip of the batch", ErrUnsupported)
	}
	list := counting(n)
	slices.Reverse(list)
	at := fresh([]int{n}, list, true)
	if t.c != nil {
		return ofConstant(take(t.c, d, at)), nil
	}
	return p.gather(t, d, at)
}
