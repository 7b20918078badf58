"""What loss to expect, and how a budget of FLOPs is best divided between parameters and tokens."""

from __future__ import annotations

from dataclasses import dataclass

# Kaplan et al. 2020, equations 1.1, 1.2 and 1.5; N without embeddings, loss in nats a token of WebText2.
KAPLAN_PARAMETERS, KAPLAN_PARAMETERS_EXPONENT = 8.8e13, 0.076
KAPLAN_TOKENS, KAPLAN_TOKENS_EXPONENT = 5.4e13, 0.095
# Hoffmann et al. 2022, equation 10: L = E + A/N^alpha + B/D^beta; loss in nats a token of MassiveText.
CHINCHILLA_E, CHINCHILLA_A, CHINCHILLA_B = 1.69, 406.4, 410.7
CHINCHILLA_ALPHA, CHINCHILLA_BETA = 0.34, 0.28
CHINCHILLA_TOKENS_PER_PARAMETER = 20.0
"""Rule of thumb from their approaches 1 and 2 (table 3: 67B parameters, 1.5T tokens)."""


@dataclass(frozen=True)
class Allocation:
    """Parameters and tokens for a budget."""

    parameters: float
    tokens: float

    @property
    def tokens_per_parameter(self) -> float:
        """Tokens a parameter."""
        return self.tokens / self.parameters


def kaplan_loss_of_parameters(parameters: float) -> float:
    """Return L(N) = (Nc/N)^0.076: the loss with enough data, N without embeddings."""
    return float((KAPLAN_PARAMETERS / parameters) ** KAPLAN_PARAMETERS_EXPONENT)


def kaplan_loss_of_tokens(tokens: float) -> float:
    """Return L(D) = (Dc/D)^0.095: the loss of a large enough network."""
    return float((KAPLAN_TOKENS / tokens) ** KAPLAN_TOKENS_EXPONENT)


def kaplan_loss(parameters: float, tokens: float) -> float:
    """Return L(N, D) = ((Nc/N)^(alphaN/alphaD) + Dc/D)^alphaD (equation 1.5, with the constants of 1.1 and 1.2)."""
    by_parameters = (KAPLAN_PARAMETERS / parameters) ** (KAPLAN_PARAMETERS_EXPONENT / KAPLAN_TOKENS_EXPONENT)
    return float((by_parameters + KAPLAN_TOKENS / tokens) ** KAPLAN_TOKENS_EXPONENT)


def chinchilla_loss(parameters: float, tokens: float) -> float:
    """Return L(N, D) = 1.69 + 406.4/N^0.34 + 410.7/D^0.28."""
    return float(CHINCHILLA_E + CHINCHILLA_A / parameters**CHINCHILLA_ALPHA + CHINCHILLA_B / tokens**CHINCHILLA_BETA)


def chinchilla_optimum(flops: float) -> Allocation:
    """Return N and D that minimise the parametric loss under C = 6ND (Hoffmann et al. 2022, equation 4).

    With the published, rounded constants this asks for more tokens a parameter at large budgets than their approaches
    1 and 2 (Besiroglu et al. 2024 re-fit them): see `twenty_tokens_per_parameter`.
    """
    exponents = CHINCHILLA_ALPHA + CHINCHILLA_BETA
    balance = (CHINCHILLA_ALPHA * CHINCHILLA_A / (CHINCHILLA_BETA * CHINCHILLA_B)) ** (1 / exponents)
    parameters = balance * (flops / 6) ** (CHINCHILLA_BETA / exponents)
    return Allocation(parameters, flops / (6 * parameters))


def twenty_tokens_per_parameter(flops: float) -> Allocation:
    """Return N and D = 20N under C = 6ND."""
    parameters = (flops / (6 * CHINCHILLA_TOKENS_PER_PARAMETER)) ** 0.5
    return Allocation(parameters, CHINCHILLA_TOKENS_PER_PARAMETER * parameters)
