package sched

import "slices"

// fair orders the texts that wait: first those that ran before and gave their pages back, then by key
// the one served least, counted in tokens read and generated, and by priority and arrival within a key. A key that
// comes back from idleness starts at the least of those that are active, so that it cannot save up.
type fair struct {
	back   []*text            // ran before, newest first
	queues map[string][]*text // by key, by priority and arrival
	served map[string]float64 // tokens, of keys with work
	active map[string]int     // texts of a key, waiting and running
	n      int                // texts in queues
}

func newFair() *fair {
	return &fair{queues: map[string][]*text{}, served: map[string]float64{}, active: map[string]int{}}
}

// enter puts a new text behind those of its key that are not less urgent.
func (f *fair) enter(t *text) {
	key := t.req.Key
	if f.active[key]++; f.active[key] == 1 {
		least, first := 0.0, true
		for _, v := range f.served {
			if first || v < least {
				least, first = v, false
			}
		}
		f.served[key] = least
	}
	q := f.queues[key]
	at := len(q)
	for ; at > 0 && q[at-1].req.Priority > t.req.Priority; at-- {
	}
	f.queues[key] = slices.Insert(q, at, t)
	f.n++
}

// charge counts tokens for a key.
func (f *fair) charge(key string, tokens int) { f.served[key] += float64(tokens) }

// leave forgets a text that is done.
func (f *fair) leave(key string) {
	if f.active[key]--; f.active[key] == 0 {
		delete(f.active, key)
		delete(f.served, key)
	}
}

// next is the text to be admitted next; nil for none.
func (f *fair) next() *text {
	if len(f.back) > 0 {
		return f.back[0]
	}
	var best *text
	for key, q := range f.queues {
		t := q[0]
		if best == nil || f.served[key] < f.served[best.req.Key] ||
			f.served[key] == f.served[best.req.Key] && t.order < best.order {
			best = t
		}
	}
	return best
}

// remove takes a text out.
func (f *fair) remove(t *text) {
	for i, o := range f.back {
		if o == t {
			f.back = append(f.back[:i:i], f.back[i+1:]...)
			return
		}
	}
	key := t.req.Key
	q := f.queues[key]
	for i, o := range q {
		if o == t {
			f.n--
			if q = append(q[:i:i], q[i+1:]...); len(q) == 0 {
				delete(f.queues, key)
			} else {
				f.queues[key] = q
			}
			return
		}
	}
}

// all are the texts that wait.
func (f *fair) all() []*text {
	list := append([]*text(nil), f.back...)
	for _, q := range f.queues {
		list = append(list, q...)
	}
	return list
}

func (f *fair) len() int { return len(f.back) + f.n }
