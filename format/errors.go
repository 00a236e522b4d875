package format

import "errors"

// Every error about the contents of a file matches one of these two with errors.Is.
var (
	// ErrCorrupt: the file is damaged, incomplete or was never a .qpt file.
	ErrCorrupt = errors.New("corrupt .qpt file")
	// ErrUnsupported: the file is sound as far as this version of qpt can
	// tell, but needs a newer one.
	ErrUnsupported = errors.New("unsupported .qpt file")
)

// rule is one rule of the format, as an error of a class.
type rule struct {
	text  string
	class error
}

func (r *rule) Error() string { return r.text }
func (r *rule) Unwrap() error { return r.class }

func corrupt(text string) error     { return &rule{text, ErrCorrupt} }
func unsupported(text string) error { return &rule{text, ErrUnsupported} }

// Errors of the header and the table, returned by Open.
var (
	ErrMagic          = corrupt("not a .qpt file")
	ErrTruncated      = corrupt("file is cut short")
	ErrTrailing       = corrupt("bytes after the end of the file")
	ErrHeaderChecksum = corrupt("header checksum differs")
	ErrVersion        = unsupported("unknown format version")
	ErrFeatures       = unsupported("unknown required feature")
	ErrReserved       = corrupt("reserved bytes are not zero")
	ErrTable          = corrupt("section table does not fit the file")
	ErrTableChecksum  = corrupt("section table checksum differs")
)

// Errors of one section's table entry, returned by Open.
var (
	ErrKind      = unsupported("unknown section kind")
	ErrEncoding  = unsupported("unknown section encoding")
	ErrName      = corrupt("bad section name")
	ErrDuplicate = corrupt("two sections of one name")
	ErrAlign     = corrupt("bad section alignment")
	ErrMisplaced = corrupt("section offset is not a multiple of its alignment")
	ErrOverlap   = corrupt("section overlaps what comes before it")
	ErrHole      = corrupt("hole between sections")
	ErrBounds    = corrupt("section reaches past the end of the sections")
	ErrSize      = corrupt("impossible section size")
)

// Errors of a section's contents, returned by Data, the typed readers and Verify.
var (
	ErrChecksum       = corrupt("section checksum differs")
	ErrFrame          = corrupt("bad zstd frames")
	ErrPadding        = corrupt("padding is not zero")
	ErrDigest         = corrupt("section SHA-256 differs")
	ErrMissing        = corrupt("no such section")
	ErrMeta           = corrupt("bad meta section")
	ErrReferences     = corrupt("bad references section")
	ErrActivations    = corrupt("bad activations section")
	ErrReferencesForm = unsupported("unknown form of references")
	ErrChange         = unsupported("unknown change of a parameter")
	ErrRewrites       = corrupt("bad rewrites section")
	// ErrData is found by runtime.Model.Verify, which knows the kernels' layouts.
	ErrData     = corrupt("bad data of a tensor")
	ErrGraph    = corrupt("bad graph section")
	ErrNewGraph = unsupported("graph of a newer qpt")
	ErrKey      = unsupported("unknown key")
	ErrLost     = corrupt("the mapped file can no longer be read (was it truncated, or its disk removed?)")
)

// Errors of the tensor directory, returned by Tensors and WriteTensors.
var (
	ErrTensors      = corrupt("bad tensor directory") // not the JSON that it should be
	ErrTensorName   = corrupt("bad or repeated tensor name")
	ErrTensorShape  = corrupt("bad tensor shape")
	ErrTensorFormat = unsupported("unknown tensor format")
	ErrTensorLayout = unsupported("unknown tensor layout")
	ErrTensorGroup  = corrupt("bad group size")
	ErrScheme       = unsupported("unknown scheme")
	ErrStoredAs     = corrupt("scheme and tensor format do not go together")
	ErrRole         = unsupported("unknown part role")
	ErrPartRole     = corrupt("wrong parts for the tensor format")
	ErrPartSection  = corrupt("part is not in a weights section")
	ErrPartOffset   = corrupt("part offset is not a multiple of 64")
	ErrPartBounds   = corrupt("part reaches past its section")
	ErrPartSize     = corrupt("part size does not fit the tensor's shape")
	ErrPartOverlap  = corrupt("parts overlap")
)
