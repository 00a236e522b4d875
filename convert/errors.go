package convert

import (
	"errors"

	"qpt/calibrate"
	"qpt/convert/checkpoint"
	"qpt/convert/gguf"
	"qpt/convert/hf"
	"qpt/convert/quantized"
	"qpt/convert/safetensors"
	"qpt/convert/stored"
	"qpt/format"
	"qpt/runtime/lm/corpus"
	"qpt/runtime/lm/tokenizer"
)

// IsBadInput says whether an error is about the contents of an input file:
// corrupt, hostile, or asking for what is not implemented.
func IsBadInput(err error) bool {
	for _, bad := range []error{
		ErrInput, checkpoint.ErrInput, gguf.ErrCorrupt, gguf.ErrUnsupported, stored.ErrCodes, safetensors.ErrCorrupt, safetensors.ErrDType, hf.ErrConfig, hf.ErrUnsupported, hf.ErrTensors, quantized.ErrInput, quantized.ErrUnsupported,
		calibrate.ErrText, corpus.ErrText, calibrate.ErrJournal, tokenizer.ErrFormat, tokenizer.ErrUnsupported, tokenizer.ErrPattern, format.ErrCorrupt, format.ErrUnsupported,
	} {
		if errors.Is(err, bad) {
			return true
		}
	}
	return false
}
