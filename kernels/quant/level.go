package quant

// level is the steps of quantizing of one instruction set; quantize_generic.go says what they do. A call takes 100 us
// or less: assembly cannot be stopped, and the collector waits for it.
type level struct {
	spans    func(t []float32, group int, lo, hi []lanes)
	trials   func(t, imp []float32, pair *[2]trial)
	search   func(a *groupSearch)
	encodeI4 func(e *encoding)
	encodeI6 func(e *encoding)
	encodeI8 func(e *encoding)
}

// generic is the twins.
var generic = level{
	spans:    spansGeneric,
	trials:   trialsGeneric,
	search:   searchGeneric,
	encodeI4: encodeGroupsGeneric,
	encodeI6: encodeGroupsGeneric,
	encodeI8: encodeI8Generic,
}
