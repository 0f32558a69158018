"""The whole table."""

from .cases_binding import BINDING
from .cases_claims import CLAIMS
from .cases_form import FORM
from .cases_header import HEADER
from .cases_thumbprint import THUMBPRINT


CASES = [*BINDING, *THUMBPRINT, *HEADER, *CLAIMS, *FORM]
