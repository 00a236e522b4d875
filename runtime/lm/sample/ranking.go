package sample

import "math"

type candidate struct {
	logit float32
	id    int32
}

// before is the order of the candidates: most probable first, ties by id.
func (a candidate) before(b candidate) bool {
	return a.logit > b.logit || a.logit == b.logit && a.id < b.id
}

// ranking sorts candidates only as far as it is asked to: sorting a whole
// vocabulary would take longer than a token of a small model. It takes them in
// layers of falling logits, each found by one pass, and keeps a heap of the
// present layer.
type ranking struct {
	rest   []candidate // below the layers so far, by id
	heap   []candidate // what is left of the present layer
	ranked []candidate // the best, in order
	floor  float64     // lowest logit of the present layer
	depth  float64     // of the next layer
}

// load fills rest in the order of ids.
func (r *ranking) load(logits []float32) {
	if n := len(logits); cap(r.rest) < n {
		r.rest, r.heap, r.ranked = make([]candidate, n), make([]candidate, n), make([]candidate, n)
	}
	r.rest, r.heap, r.ranked = r.rest[:len(logits)], r.heap[:0], r.ranked[:0]
	for i, l := range logits {
		r.rest[i] = candidate{l, int32(i)}
	}
}

// start finds the best candidate (id -1: there is none above -Inf) and sets
// the first layer: those with at least exp(-2) of its probability.
func (r *ranking) start(temperature float64) candidate {
	best := candidate{float32(math.Inf(-1)), -1}
	for _, c := range r.rest {
		if c.logit > best.logit {
			best = c
		}
	}
	r.floor, r.depth = float64(best.logit), 2*temperature
	return best
}

// at returns the i-th best candidate; i must be below the number loaded.
func (r *ranking) at(i int) candidate {
	for i >= len(r.ranked) {
		if len(r.heap) == 0 {
			r.layer()
			continue
		}
		r.ranked = append(r.ranked, r.heap[0])
		last := len(r.heap) - 1
		r.heap[0] = r.heap[last]
		r.heap = r.heap[:last]
		r.sink(0)
	}
	return r.ranked[i]
}

// layer moves the next layer from rest to the heap; it may be empty. Each is
// twice as deep as the one before, so that the last, all the rest, comes soon.
func (r *ranking) layer() {
	r.floor -= r.depth
	r.depth *= 2
	rest := r.rest[:0]
	for _, c := range r.rest {
		if float64(c.logit) >= r.floor {
			r.heap = append(r.heap, c)
		} else {
			rest = append(rest, c)
		}
	}
	r.rest = rest
	for i := len(r.heap)/2 - 1; i >= 0; i-- {
		r.sink(i)
	}
}

// sink moves the candidate at i down to its place in the heap.
func (r *ranking) sink(i int) {
	h := r.heap
	for {
		child := 2*i + 1
		if child >= len(h) {
			return
		}
		if child+1 < len(h) && h[child+1].before(h[child]) {
			child++
		}
		if !h[child].before(h[i]) {
			return
		}
		h[i], h[child] = h[child], h[i]
		i = child
	}
}
