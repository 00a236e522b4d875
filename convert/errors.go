package convert

import (
	"errors"
	"slices"

	"qpt/calibrate"
	"qpt/convert/checkpoint"
	"qpt/format"
	"qpt/runtime/lm/corpus"
)

// IsBadInput says whether an error is about the contents of an input file:
// corrupt, hostile, or asking for what is not implemented.
func IsBadInput(err error) bool {
	return checkpoint.IsBadInput(err) || slices.ContainsFunc([]error{ErrInput, calibrate.ErrText, corpus.ErrText, calibrate.ErrJournal, format.ErrCorrupt, format.ErrUnsupported},
		func(bad error) bool { return errors.Is(err, bad) })
}
