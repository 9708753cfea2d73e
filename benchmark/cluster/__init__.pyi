from .parsers import finish_parser, plan_parser, status_parser, work_parser

__all__ = ["finish_parser", "plan_parser", "status_parser", "work_parser"]
