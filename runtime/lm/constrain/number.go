package constrain

import "math/big"

// interval is what is asked of a number; nil means no bound.
type interval struct {
	lo, hi         *big.Rat
	loOpen, hiOpen bool     // the bound itself is out
	step           *big.Rat // the number is a multiple of it
}

// maxInteger digits before the point, where an upper bound wants more than maxDigits. A lower bound may want any number.
const maxInteger = 19

// maxPlaces behind the point.
const maxPlaces = 60

// maxRemainders bounds the multiples that are followed digit by digit.
const maxRemainders = 10000

// above raises the lower bound, below lowers the upper one.
func (v *interval) above(x *big.Rat, open bool) {
	if v.lo == nil || x.Cmp(v.lo) > 0 || x.Cmp(v.lo) == 0 && open {
		v.lo, v.loOpen = x, open
	}
}

func (v *interval) below(x *big.Rat, open bool) {
	if v.hi == nil || x.Cmp(v.hi) < 0 || x.Cmp(v.hi) == 0 && open {
		v.hi, v.hiOpen = x, open
	}
}

// multiple makes the number a multiple of x > 0, too: of lcm(a/c, b/c) = lcm(a, b)/c.
func (v *interval) multiple(x *big.Rat) {
	if v.step == nil {
		v.step = x
		return
	}
	c := lcm(v.step.Denom(), x.Denom())
	scale := func(r *big.Rat) *big.Int { return new(big.Int).Mul(r.Num(), new(big.Int).Div(c, r.Denom())) }
	v.step = new(big.Rat).SetFrac(lcm(scale(v.step), scale(x)), c)
}

func lcm(a, b *big.Int) *big.Int {
	g := new(big.Int).GCD(nil, nil, a, b)
	return g.Mul(new(big.Int).Div(a, g), b)
}

func (v *interval) holds(x *big.Rat) bool {
	if v.lo != nil && (x.Cmp(v.lo) < 0 || v.loOpen && x.Cmp(v.lo) == 0) {
		return false
	}
	if v.hi != nil && (x.Cmp(v.hi) > 0 || v.hiOpen && x.Cmp(v.hi) == 0) {
		return false
	}
	return v.step == nil || new(big.Rat).Quo(x, v.step).IsInt()
}

func (v *interval) empty() bool {
	if v.lo == nil || v.hi == nil {
		return false
	}
	c := v.lo.Cmp(v.hi)
	return c > 0 || c == 0 && (v.loOpen || v.hiOpen)
}

// number is the decimal numbers of an interval, integers only if integer.
func (b *builder) number(v interval, integer bool) expr {
	if v.lo == nil && v.hi == nil && v.step == nil {
		if integer {
			return whole
		}
		return decimal
	}
	if integer {
		v.multiple(big.NewRat(1, 1))
	}
	neg := interval{loOpen: v.hiOpen, hiOpen: v.loOpen}
	if v.hi != nil {
		neg.lo = new(big.Rat).Neg(v.hi)
	}
	if v.lo != nil {
		neg.hi = new(big.Rat).Neg(v.lo)
	}
	places := maxDigits
	if v.step != nil {
		places = decimals(v.step)
	}
	some := func(v interval, least int64) bool {
		lo, hi := magnitudes(v, power10(places), least)
		return lo.Cmp(hi) <= 0
	}
	for v.step == nil && !some(v, 0) && !some(neg, 1) { // the bounds are closer to each other than that
		if places++; places > maxPlaces {
			b.fail("numbers between bounds so close that they take more than %d places are not supported", maxPlaces)
		}
	}
	unit := power10(places)
	d := digits{b: b, places: places, step: big.NewInt(1)}
	if v.step != nil {
		d.step = new(big.Rat).Mul(v.step, new(big.Rat).SetInt(unit)).Num()
		if d.step.CmpAbs(big.NewInt(maxRemainders)) > 0 {
			b.fail("multipleOf %s: more than %d remainders to follow", v.step.RatString(), maxRemainders)
		}
	}
	return func(b *builder, from, to int32) {
		d.to, d.known = to, map[digitState]int32{}
		if lo, hi := magnitudes(v, unit, 0); lo.Cmp(hi) <= 0 {
			d.draw(from, lo, hi)
		}
		if lo, hi := magnitudes(neg, unit, 1); lo.Cmp(hi) <= 0 { // there is no -0
			minus := b.node()
			b.edge(from, '-', '-', minus)
			d.draw(minus, lo, hi)
		}
	}
}

// decimals is the number of places behind the point that a number takes, at most maxDigits.
func decimals(r *big.Rat) int {
	n := 0
	for x := new(big.Rat).Set(r); !x.IsInt() && n < maxDigits; n++ {
		x.Mul(x, big.NewRat(10, 1))
	}
	return n
}

// magnitudes are the smallest and largest multiple of 1/unit in an interval that are least or more.
func magnitudes(v interval, unit *big.Int, least int64) (lo, hi *big.Int) {
	one := big.NewInt(1)
	u := new(big.Rat).SetInt(unit)
	lo = big.NewInt(least)
	if v.lo != nil {
		x := new(big.Rat).Mul(v.lo, u)
		q := new(big.Int).Div(x.Num(), x.Denom()) // rounds down
		if !x.IsInt() || v.loOpen {
			q.Add(q, one)
		}
		if q.Cmp(lo) > 0 {
			lo = q
		}
	}
	power := func(n int64) *big.Int {
		p := new(big.Int).Exp(big.NewInt(10), big.NewInt(n), nil)
		return p.Mul(p, unit).Sub(p, one)
	}
	most := int64(maxDigits)
	if whole := new(big.Int).Div(lo, unit); lo.Cmp(power(most)) > 0 {
		most = int64(len(whole.String())) + 1
	}
	hi = power(most)
	if v.hi != nil {
		x := new(big.Rat).Mul(v.hi, u)
		q := new(big.Int).Div(x.Num(), x.Denom())
		if x.IsInt() && v.hiOpen {
			q.Sub(q, one)
		}
		if q.Cmp(power(max(most, maxInteger))) <= 0 { // else a bound that means none
			hi = q
		}
	}
	return lo, hi
}

// digits draws numbers digit by digit. It follows whether those so far are the lower or the upper bound's, and the
// remainder of the number by step.
type digits struct {
	b      *builder
	places int
	step   *big.Int
	to     int32
	lo, hi string // as many digits each
	known  map[digitState]int32
}

// digitState is where a number stands. left counts the digits that are still to come, all places among them.
type digitState struct {
	left, rest  int
	onLo, onHi  bool
	lo, hi      string // of a state on a bound
	point, used bool   // behind the point; with a digit there
}

// draw adds the numbers from lo to hi, in units of the last place.
func (d *digits) draw(from int32, lo, hi *big.Int) {
	for n := 1; n <= max(1, len(hi.String())-d.places); n++ { // digits before the point
		first, last := power10(n-1+d.places), power10(n+d.places)
		if n == 1 {
			first = new(big.Int)
		}
		last.Sub(last, big.NewInt(1))
		if lo.Cmp(first) > 0 {
			first = lo
		}
		if hi.Cmp(last) < 0 {
			last = hi
		}
		if first.Cmp(last) > 0 {
			continue
		}
		d.lo, d.hi = pad(first, n+d.places), pad(last, n+d.places)
		d.b.eps(from, d.node(digitState{left: n + d.places, onLo: true, onHi: true}))
	}
}

func power10(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }

func pad(x *big.Int, n int) string {
	s := x.String()
	for len(s) < n {
		s = "0" + s
	}
	return s
}

// node is the node of a state, with all that follows.
func (d *digits) node(s digitState) int32 {
	if s.onLo {
		s.lo = d.lo[len(d.lo)-s.left:]
	}
	if s.onHi {
		s.hi = d.hi[len(d.hi)-s.left:]
	}
	if at, ok := d.known[s]; ok {
		return at
	}
	at := d.b.node()
	d.known[s] = at
	if s.left == d.places && !s.point { // the integer is whole
		if d.ends(s) {
			d.b.eps(at, d.to)
		}
		if d.places > 0 {
			s.point = true
			d.b.edge(at, '.', '.', d.node(s))
		}
		return at
	}
	if s.used && d.ends(s) {
		d.b.eps(at, d.to)
	}
	if s.left == 0 {
		return at
	}
	least, most := byte('0'), byte('9')
	if s.onLo {
		least = s.lo[0]
	}
	if s.onHi {
		most = s.hi[0]
	}
	for c := least; c <= most; c++ {
		rest := (s.rest*10 + int(c-'0')) % int(d.step.Int64())
		next := digitState{left: s.left - 1, rest: rest, onLo: s.onLo && c == least, onHi: s.onHi && c == most, point: s.point, used: s.point}
		d.b.edge(at, c, c, d.node(next))
	}
	return at
}

// ends tells whether a number may end, with zeros in the places that are left.
func (d *digits) ends(s digitState) bool {
	for _, c := range s.lo {
		if c != '0' {
			return false
		}
	}
	rest := new(big.Int).Mul(big.NewInt(int64(s.rest)), power10(s.left))
	return rest.Mod(rest, d.step).Sign() == 0
}
